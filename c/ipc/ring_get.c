/* The half of ring.c that gets. */

#include <string.h>

#include "base/status.h"
#include "ipc/chunk.h"

/*
 * Have those who put gone on to another chunk at 'pos'?  Most often 'end' alone
 * says no, without a look at 'put_at', whose line is theirs: of the message at
 * 'pos', which we know, all that was written before it is seen, and 'end' was if
 * it is in another chunk.  'end' may also be a chunk's first value, or that of
 * one who died growing it, and is written before put_at: so it is asked twice.
 */
static bool is_left(const conc_ring *r, const conc_chunk *c, uint64_t first,
                    uint32_t pos) {
  return atomic_load(&c->end) == pos && atomic_load(&r->put_at) != first &&
         atomic_load(&c->end) == pos;
}

/* The chunk with the message at 'head', of which there is one. */
static apr_status_t find_locked(conc_ring *r, uint64_t head, conc_chunk **c) {
  apr_status_t st = APR_SUCCESS;
  while (st == APR_SUCCESS) {
    uint64_t first = atomic_load(&r->first);
    if ((*c = conc_chunk_at(first)) == NULL)
      return CONC_CORRUPT;
    if (!is_left(r, *c, first, conc_position(head)))
      return APR_SUCCESS;
    st = conc_chunk_leave(r);
  }
  return st;
}

static apr_status_t take_inline(const conc_record *at, const conc_record *m,
                                conc_item *item) {
  if (m->size > CONC_RING_INLINE || conc_units_for(m->size) > m->units)
    return CONC_CORRUPT;
  memcpy(item->bytes, (const unsigned char *)at + CONC_RECORD_HEAD, m->size);
  item->data = item->bytes;
  item->size = m->size;
  return APR_SUCCESS;
}

/* APR_ENOENT: who took it has died. */
static apr_status_t take_parcel(conc_record *at, conc_item *item) {
  uint64_t offset = atomic_load(&at->parcel);
  if (offset == 0)
    return APR_ENOENT;
  conc_parcel *p = conc_parcel_at(offset);
  if (p == NULL)
    return CONC_CORRUPT;
  conc_ref *mine = conc_ledger_get();
  if (mine == NULL)
    return CONC_EXHAUSTED;
  conc_heap_move(mine, &at->parcel);
  item->place = mine;
  item->data = conc_parcel_bytes(p);
  item->size = (size_t)p->size;
  item->nshared = (uint32_t)p->nrefs;
  return APR_SUCCESS;
}

/* Take the message at *head, and say where the next one is.  CONC_MISUSE: its
   tag is none of item->tags. */
static apr_status_t take_locked(conc_ring *r, uint64_t *head, conc_item *item) {
  conc_chunk *c;
  conc_record m;
  apr_status_t st = find_locked(r, *head, &c);
  if (st != APR_SUCCESS)
    return st;
  uint32_t pos = conc_position(*head);
  uint32_t most = conc_position(r->tail_seen) - pos;
  int32_t rest = conc_position_distance(pos, atomic_load(&c->end));
  if (rest > 0 && (uint32_t)rest < most)
    most = (uint32_t)rest; /* what is behind it is in another chunk */
  if (most > c->units)
    return CONC_CORRUPT;
  if (!conc_record_read(c, pos, most, &m))
    return CONC_CORRUPT;
  uint32_t pad = m.kind == CONC_PAD ? m.units : 0;
  if (pad != 0 && !conc_record_read(c, pos + pad, most - pad, &m))
    return CONC_CORRUPT;
  conc_record *at = conc_record_at(c, pos + pad);
  item->tag = m.tag;
  if (m.tag < 32 && (item->tags >> m.tag & 1) == 0)
    return CONC_MISUSE;
  if (m.kind == CONC_INLINE)
    st = take_inline(at, &m, item);
  else
    st = m.kind == CONC_PARCEL ? take_parcel(at, item) : CONC_CORRUPT;
  *head = conc_position_step(*head, 1, pad + m.units);
  return st;
}

/* 'closed' is read before 'tail': after it is set, 'tail' stays. */
static bool empty_locked(conc_ring *r, uint64_t head, bool *closed) {
  if (head != r->tail_seen)
    return false;
  *closed = atomic_load(&r->closed) != 0;
  r->tail_seen = atomic_load(&r->tail);
  return head == r->tail_seen;
}

static apr_status_t fetch_locked(conc_ring *r, conc_item *item) {
  apr_status_t st = conc_chunk_finish(r);
  uint64_t head = atomic_load(&r->head);
  while (st == APR_SUCCESS) {
    bool closed = false;
    if (empty_locked(r, head, &closed))
      return closed ? CONC_CLOSED : APR_EAGAIN;
    conc_world_hear();
    st = take_locked(r, &head, item);
    if (st != APR_SUCCESS && !APR_STATUS_IS_ENOENT(st))
      return st;
    conc_step();
    conc_world_tell();
    atomic_store(&r->head, head);
    if (st == APR_SUCCESS)
      return st;
    st = APR_SUCCESS;
  }
  return st;
}

static void keep_head(conc_taken *t, const conc_item *item) {
  size_t n = item->size < sizeof t->head ? item->size : sizeof t->head;
  *t = (conc_taken){.place = item->place, .size = item->size, .tag = item->tag};
  memcpy(t->head, item->data, n);
}

apr_status_t conc_ring_drain(conc_ring *r, conc_taken *list, size_t room,
                             size_t *n) {
  conc_item item = {.tags = UINT32_MAX};
  apr_status_t st = APR_EAGAIN;
  *n = 0;
  conc_ring_lock(&r->get_latch);
  while (*n < room) {
    item.place = NULL;
    st = fetch_locked(r, &item);
    if (st != APR_SUCCESS)
      break;
    keep_head(&list[(*n)++], &item);
    st = APR_EAGAIN;
  }
  bool empty = *n < room && (st == APR_EAGAIN || st == CONC_CLOSED);
  conc_ring_unlock(&r->get_latch);
  conc_sgate_notify_all(&r->space);
  return empty ? APR_SUCCESS : st;
}

static apr_status_t try_pop(conc_ring *r, conc_item *item) {
  item->place = NULL;
  item->nshared = 0;
  conc_ring_lock(&r->get_latch);
  apr_status_t st = fetch_locked(r, item);
  conc_ring_unlock(&r->get_latch);
  conc_sgate_notify(&r->space); /* also for one that was passed over */
  return st;
}

static size_t count(const void *ring) { return conc_ring_len(ring); }

/* See gather.h: not while others sleep, whom each put would wake. */
static void gather(conc_ring *r) {
  if ((atomic_load(&r->items.seq) & CONC_SGATE_SLEEPERS) == 0)
    conc_gather_some(&r->gather, count, r);
}

apr_status_t conc_ring_pop_tagged(conc_ring *r, conc_item *item, uint32_t tags,
                                  conc_parker *self, conc_time deadline) {
  item->tags = tags;
  for (;;) {
    apr_status_t st = try_pop(r, item);
    if (st != APR_EAGAIN && st != APR_SUCCESS)
      conc_sgate_notify(&r->items); /* what it was woken for is for others */
    if (st != APR_EAGAIN)
      return st;
    st = conc_sgate_await(&r->items, conc_ring_has_item, r, self, deadline);
    if (st != APR_SUCCESS)
      return st;
    gather(r);
  }
}

apr_status_t conc_ring_pop(conc_ring *r, conc_item *item, conc_parker *self,
                           conc_time deadline) {
  return conc_ring_pop_tagged(r, item, UINT32_MAX, self, deadline);
}
