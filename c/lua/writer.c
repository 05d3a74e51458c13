#include "lua/writer.h"

#include <string.h>

#include "base/mem.h"

/* ---- Bytes ---- */

void lc_write_nomem(lc_packer *pk) {
  pk->failed = true;
  pk->nomem = true;
}

bool lc_write_grow(lc_packer *pk, size_t more) {
  size_t room = pk->room < 256 ? 256 : pk->room * 2;
  if (room < pk->len + more)
    room = pk->len + more + 64; /* one huge string: no more than it needs */
  unsigned char *buf = conc_realloc(pk->buf, room);
  if (buf == NULL) {
    lc_write_nomem(pk);
    return false;
  }
  pk->buf = buf;
  pk->room = room;
  return true;
}

/* ---- References ---- */

/* The number of a retained object in this message. */
uint64_t lc_write_reference(lc_packer *pk, conc_obj *o) {
  for (uint32_t i = pk->nrefs; i > 0 && pk->nrefs - i < 8; i--)
    if (pk->refs[i - 1] == o)
      return i - 1;
  if (pk->nrefs == pk->refroom) {
    uint32_t room = pk->refroom == 0 ? 8 : 2 * pk->refroom;
    conc_obj **refs = conc_realloc(pk->refs, room * sizeof(conc_obj *));
    if (refs == NULL) {
      lc_write_nomem(pk);
      return 0;
    }
    pk->refs = refs;
    pk->refroom = room;
  }
  pk->refs[pk->nrefs] = conc_retain(o);
  return pk->nrefs++;
}

void lc_write_drop(lc_packer *pk) {
  while (pk->nrefs > 0)
    conc_release(pk->refs[--pk->nrefs]);
}

/* ---- What was met in this message ---- */

/*
 * Tables made one after the other lie one after the other, and so do their
 * slots: within 64 KiB of memory an address is its own hash.
 */
static uint32_t slot_of(const lc_packer *pk, const void *key) {
  uint64_t unit = (uintptr_t)key / 16, region = unit >> 12;
  uint64_t h = (unit & 0xfff) + (region * 0x9e3779b97f4a7c15u >> 32);
  return (uint32_t)h & (pk->nslots - 1);
}

static uint32_t part_of(const void *key) {
  return (uint32_t)((uintptr_t)key / 8);
}

lc_memo *lc_write_find(lc_packer *pk, const void *key) {
  if (pk->nmemo == 0)
    return NULL;
  for (uint32_t i = slot_of(pk, key);; i = (i + 1) & (pk->nslots - 1)) {
    const lc_slot *s = &pk->slots[i];
    if (s->nth == 0) {
      pk->missed = key;
      pk->free = i;
      return NULL;
    }
    if (s->part == part_of(key) && pk->memo[s->nth - 1].key == key)
      return &pk->memo[s->nth - 1];
  }
}

/* Give the n-th memo a slot, the first that is free from i on. */
static void lead_to(lc_packer *pk, uint32_t n, uint32_t i) {
  lc_memo *m = &pk->memo[n];
  while (pk->slots[i].nth != 0)
    i = (i + 1) & (pk->nslots - 1);
  pk->slots[i] = (lc_slot){part_of(m->key), n + 1};
  m->slot = i;
}

static bool more_slots(lc_packer *pk) {
  uint32_t n = pk->nslots == 0 ? 64 : 4 * pk->nslots;
  lc_slot *slots = n == 0 ? NULL : conc_alloc(n * sizeof *slots);
  if (slots == NULL) {
    lc_write_nomem(pk);
    return false;
  }
  memset(slots, 0, n * sizeof *slots);
  conc_free(pk->slots);
  pk->slots = slots;
  pk->nslots = n;
  for (uint32_t i = 0; i < pk->nmemo; i++)
    lead_to(pk, i, slot_of(pk, pk->memo[i].key));
  pk->missed = NULL;
  return true;
}

static bool more_memos(lc_packer *pk) {
  uint32_t room = pk->memoroom == 0 ? 32 : 2 * pk->memoroom;
  lc_memo *memo = conc_realloc(pk->memo, room * sizeof *memo);
  if (memo == NULL) {
    lc_write_nomem(pk);
    return false;
  }
  pk->memo = memo;
  pk->memoroom = room;
  return true;
}

void lc_write_remember(lc_packer *pk, const void *key, size_t offset,
                       uint32_t index) {
  if ((pk->nmemo >= pk->nslots / 2 && !more_slots(pk)) ||
      (pk->nmemo == pk->memoroom && !more_memos(pk)))
    return;
  pk->memo[pk->nmemo] = (lc_memo){key, offset, index, 0};
  /* All before the slot that was found free are still taken. */
  lead_to(pk, pk->nmemo, key == pk->missed ? pk->free : slot_of(pk, key));
  pk->nmemo++;
}

/* Write a reference back and mark what it refers to. */
void lc_write_back(lc_packer *pk, const lc_memo *m) {
  if (pk->failed)
    return;
  pk->wide = true;
  pk->buf[m->offset] |= LC_SHARED;
  lc_write_byte(pk, LC_REF);
  lc_write_varint(pk, m->offset);
}

/* ---- Frames ---- */

lc_frame *lc_write_open(lua_State *L, lc_packer *pk, unsigned kind, int slot) {
  if (pk->nframes >= LC_DEEPEST) {
    pk->failed = true;
    memcpy(pk->error, ": nested too deeply", 20);
    return NULL;
  }
  if (pk->nframes > 0 && !lua_checkstack(L, 12)) {
    pk->failed = true;
    memcpy(pk->error, ": nested too deeply", 20);
    return NULL;
  }
  if (pk->nframes == pk->frameroom) {
    uint32_t room = pk->frameroom == 0 ? 16 : 2 * pk->frameroom;
    lc_frame *frames = conc_realloc(pk->frames, room * sizeof *frames);
    if (frames == NULL) {
      lc_write_nomem(pk);
      return NULL;
    }
    pk->frames = frames;
    pk->frameroom = room;
  }
  lc_frame *f = &pk->frames[pk->nframes++];
  pk->wide = pk->wide || pk->nframes > LC_FEW;
  *f = (lc_frame){.offset = pk->len, .slot = slot, .kind = (unsigned char)kind};
  return f;
}

/* ---- A whole message ---- */

void lc_write_patch(lc_packer *pk, size_t at, uint32_t v) {
  if (!pk->failed)
    lc_store4(pk->buf + at, v);
}

/* What a message may leave behind for the next one; more is given back. */
enum { KEEP = 1 << 16 };

static void shrink(lc_packer *pk) {
  if (pk->room > KEEP) {
    conc_free(pk->buf);
    pk->buf = NULL;
    pk->room = 0;
  }
  if (pk->memoroom * sizeof *pk->memo + pk->nslots * sizeof *pk->slots > KEEP) {
    conc_free(pk->memo);
    conc_free(pk->slots);
    pk->memo = NULL;
    pk->slots = NULL;
    pk->nmemo = pk->memoroom = pk->nslots = 0;
  }
}

void lc_write_forget(lc_packer *pk) {
  if (pk->nmemo > pk->nslots / 16)
    memset(pk->slots, 0, pk->nslots * sizeof *pk->slots);
  else
    for (uint32_t i = 0; i < pk->nmemo; i++)
      pk->slots[pk->memo[i].slot].nth = 0;
  pk->nmemo = 0;
  pk->missed = NULL;
}

void lc_write_begin(lc_packer *pk) {
  lc_write_drop(pk);
  lc_write_forget(pk);
  pk->len = 0;
  pk->nframes = 0;
  pk->plain = true;
  pk->wide = false;
  pk->failed = false;
  pk->nomem = false;
  pk->ran = false;
  pk->again = LC_NO;
  pk->error[0] = '\0';
}

/* The buffer itself becomes the message: no copy of something large. */
static apr_status_t give_away(lc_packer *pk, conc_msg *m) {
  size_t at = conc_msg_refs_at(pk->len);
  size_t all = at + pk->nrefs * sizeof *pk->refs;
  if (pk->room < all || pk->room / 2 > all) {
    unsigned char *buf = conc_realloc(pk->buf, all);
    if (buf == NULL)
      return APR_ENOMEM;
    pk->buf = buf;
  }
  if (pk->nrefs != 0)
    memcpy(pk->buf + at, pk->refs, pk->nrefs * sizeof *pk->refs);
  conc_msg_adopt(m, pk->buf, pk->len, pk->nrefs);
  pk->buf = NULL;
  pk->room = 0;
  return APR_SUCCESS;
}

apr_status_t lc_write_end(lc_packer *pk, conc_msg *m) {
  apr_status_t st = APR_ENOMEM; /* there may be no value to tell of it */
  if (!pk->failed)
    st = pk->len > KEEP / 4
           ? give_away(pk, m)
           : conc_msg_make(m, pk->buf, pk->len, pk->refs, pk->nrefs);
  if (st == APR_SUCCESS)
    pk->nrefs = 0; /* they are the message's now */
  else
    lc_write_drop(pk);
  shrink(pk);
  return st;
}

void lc_write_fini(lc_packer *pk) {
  lc_write_drop(pk);
  conc_free(pk->buf);
  conc_free(pk->refs);
  conc_free(pk->memo);
  conc_free(pk->slots);
  conc_free(pk->frames);
  *pk = (lc_packer){.state = pk->state};
}
