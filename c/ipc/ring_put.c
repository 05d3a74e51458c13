/* The half of ring.c that puts. */

#include <string.h>

#include "base/status.h"
#include "ipc/chunk.h"

static bool full_locked(conc_ring *r, uint64_t tail) {
  if ((r->capacity == 0 && r->most == 0) ||
      !conc_ring_over(r, tail, r->head_seen))
    return false;
  r->head_seen = atomic_load(&r->head);
  return conc_ring_over(r, tail, r->head_seen);
}

/* Is there room for a run of 'need' units?  *pad comes before it. */
static bool fits_locked(conc_ring *r, conc_chunk *c, uint32_t need,
                        uint32_t *pad) {
  uint32_t pos = conc_position(atomic_load(&r->tail));
  *pad = conc_chunk_rest(c, pos) < need ? conc_chunk_rest(c, pos) : 0;
  for (int i = 0; i < 2; i++) {
    uint32_t head = conc_position(r->head_seen);
    uint32_t from = conc_position_distance(c->base, head) > 0 ? head : c->base;
    if (pos - from <= c->units && *pad + need <= c->units - (pos - from))
      return true;
    r->head_seen = atomic_load(&r->head);
  }
  return false;
}

/* The chunk to put 'need' units into, and what comes before them. */
static apr_status_t reserve(conc_ring *r, uint32_t need, conc_chunk **c,
                            uint32_t *pad) {
  for (int i = 0; i < 3; i++) {
    uint64_t at = atomic_load(&r->put_at);
    *c = at == 0 ? NULL : conc_chunk_at(at);
    if (at != 0 && *c == NULL)
      return CONC_CORRUPT;
    if (at != 0 && fits_locked(r, *c, need, pad))
      return APR_SUCCESS;
    uint64_t inside = atomic_load(&r->tail) - atomic_load(&r->head);
    if ((uint32_t)inside > INT32_MAX / 2) /* positions must not run round */
      return CONC_EXHAUSTED;
    apr_status_t st = conc_chunk_add(r, *c, need);
    if (st != APR_SUCCESS)
      return st;
  }
  return CONC_CORRUPT;
}

static void copy(unsigned char *to, const conc_load *l) {
  if (l->nhead != 0)
    memcpy(to, l->head, l->nhead);
  if (l->size != 0)
    memcpy(to + l->nhead, l->data, l->size);
}

static void write_inline(conc_record *m, const conc_load *l) {
  m->size = (uint32_t)(l->nhead + l->size);
  m->kind = CONC_INLINE;
  copy((unsigned char *)m + CONC_RECORD_HEAD, l);
}

static void write_parcel(conc_ring *r, uint32_t pos, conc_record *m,
                         conc_ref *parcel) {
  m->size = 0;
  m->kind = CONC_PARCEL;
  atomic_store(&m->parcel, 0);
  conc_step();
  atomic_store(&r->intent, ((uint64_t)pos << 1) | 1);
  conc_step();
  conc_heap_move(&m->parcel, parcel);
}

/* A parcel takes the room of a long message when room is what counts. */
static uint32_t units_of_parcel(const conc_ring *r) {
  return r->most != 0 ? conc_units_for(CONC_RING_INLINE) : 1;
}

/* 'parcel' holds it, if it is one.  APR_EAGAIN: full. */
static apr_status_t append_locked(conc_ring *r, const conc_load *l,
                                  conc_ref *parcel) {
  uint64_t tail = atomic_load(&r->tail);
  uint32_t pad,
    need = parcel ? units_of_parcel(r) : conc_units_for(l->nhead + l->size);
  conc_chunk *c;
  if (atomic_load(&r->closed) != 0)
    return CONC_CLOSED;
  if (full_locked(r, tail))
    return APR_EAGAIN;
  apr_status_t st = reserve(r, need, &c, &pad);
  if (st != APR_SUCCESS)
    return st;
  uint32_t pos = conc_position(tail) + pad;
  if (pad != 0) {
    conc_record *m = conc_record_at(c, conc_position(tail));
    m->units = (uint16_t)pad;
    m->kind = CONC_PAD;
  }
  conc_record *m = conc_record_at(c, pos);
  m->units = (uint16_t)need;
  m->tag = l->tag;
  if (parcel != NULL)
    write_parcel(r, pos, m, parcel);
  else
    write_inline(m, l);
  conc_step();
  conc_world_tell();
  atomic_store(&r->tail, conc_position_step(tail, 1, pad + need));
  conc_step();
  if (parcel != NULL)
    atomic_store(&r->intent, 0);
  return APR_SUCCESS;
}

static bool is_long(const conc_load *l) {
  return l->nshared != 0 || l->size > CONC_RING_INLINE - l->nhead;
}

/* The room that one get made may be enough for several puts. */
static void pass_on(conc_ring *r) {
  if ((atomic_load(&r->space.seq) & CONC_SGATE_SLEEPERS) != 0 &&
      conc_ring_has_room(r))
    conc_sgate_notify(&r->space);
}

static apr_status_t append(conc_ring *r, const conc_load *l, conc_ref *parcel) {
  conc_ref *lost = NULL;
  apr_status_t st = APR_SUCCESS;
  conc_ring_lock(&r->put_latch);
  if (atomic_load(&r->intent) != 0)
    st = conc_ring_withdraw(r, &lost);
  if (st == APR_SUCCESS)
    st = append_locked(r, l, parcel);
  conc_ring_unlock(&r->put_latch);
  if (lost != NULL) { /* not under the latch: it may hold anything */
    conc_shared_drop(lost);
    conc_ledger_put(lost);
  }
  if (st == APR_SUCCESS) {
    conc_sgate_notify(&r->items);
    pass_on(r);
  }
  return st;
}

static apr_status_t try_push(conc_ring *r, const conc_load *l) {
  conc_ref *parcel = NULL;
  if (!is_long(l))
    return append(r, l, NULL);
  if (atomic_load(&r->closed) != 0)
    return CONC_CLOSED;
  if (!conc_ring_has_room(r))
    return APR_EAGAIN;
  apr_status_t st =
    conc_parcel_pack(&parcel, l->nhead + l->size, l->shared, l->nshared);
  if (st != APR_SUCCESS)
    return st;
  copy(conc_parcel_bytes(conc_heap_at(atomic_load(parcel))), l);
  st = append(r, l, parcel);
  conc_shared_drop(parcel);
  conc_ledger_put(parcel);
  return st;
}

apr_status_t conc_ring_push(conc_ring *r, const conc_load *load,
                            conc_parker *self, conc_time deadline) {
  for (;;) {
    apr_status_t st = try_push(r, load);
    if (st != APR_EAGAIN && st != APR_SUCCESS)
      pass_on(r); /* the room that it was woken for is for others */
    if (st != APR_EAGAIN)
      return st;
    st = conc_sgate_await(&r->space, conc_ring_has_room, r, self, deadline);
    if (st != APR_SUCCESS)
      return st;
  }
}
