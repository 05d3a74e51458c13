/*
 * The ring is a chain of chunks, most often of one: 'first' holds the one
 * that is emptied, each holds its 'next', and 'put_at' is the one that is
 * filled.  Positions count on from one chunk to the next; in its chunk, the
 * unit at a position is that position modulo the chunk's size.  A message is
 * one run of units, after a PAD where it would run over the end.
 *
 * What a death leaves behind.  Under 'put_latch', in this order:
 *
 *   grow     *next = a new block; fill in its head; old end = tail; put_at
 *   inline   write the units; tail
 *   parcel   write the units; intent = position; move the parcel from the
 *            ledger to the record; tail; intent = 0
 *
 * Nobody looks beyond 'tail', so writing units may be cut short anywhere.  A
 * block that is *next of put_at is made the next chunk by the next grow.  An
 * intent at or after 'tail' is of a message that is not in: its parcel, if the
 * move came about, is dropped by the next put.
 *
 * Under 'get_latch':
 *
 *   inline   copy the units; head
 *   parcel   move it from the record to the ledger; head
 *   forward  old = first; first = *next; free old, each in a step of its own
 *
 * Who dies before 'head' has taken nothing, or an only parcel: then its record
 * holds none, and the next one passes over it.  A forward is finished by the
 * next get.
 *
 * A chunk is left only when put_at is another, which is written before the
 * first message in it is in: so head != tail and head == end lead forward.
 *
 * spec/models/ring.pml is this in Promela.
 */

#include "ipc/chunk.h"

#include "base/status.h"

/* ---- Looking ---- */

bool conc_ring_over(const conc_ring *r, uint64_t tail, uint64_t head) {
  uint64_t inside = tail - head;
  return (r->capacity != 0 &&
          (uint32_t)(tail >> 32) - (uint32_t)(head >> 32) >= r->capacity) ||
         (r->most != 0 && (uint32_t)inside >= r->most);
}

bool conc_ring_has_room(const void *ring) {
  const conc_ring *r = ring;
  uint64_t head = atomic_load(&r->head); /* first: it never passes 'tail' */
  return !conc_ring_over(r, atomic_load(&r->tail), head) ||
         atomic_load(&r->closed) != 0;
}

bool conc_ring_has_item(const void *ring) {
  const conc_ring *r = ring;
  return atomic_load(&r->head) != atomic_load(&r->tail) ||
         atomic_load(&r->closed) != 0;
}

uint32_t conc_ring_len(const conc_ring *r) {
  uint32_t head = (uint32_t)(atomic_load(&r->head) >> 32);
  return (uint32_t)(atomic_load(&r->tail) >> 32) - head;
}

/* ---- Items ---- */

apr_status_t conc_item_shared(const conc_item *item, uint32_t i,
                              conc_proxy **out) {
  const conc_parcel *p = conc_heap_at(atomic_load(item->place));
  return conc_shared_get(out, atomic_load(&p->refs[i]));
}

static void let_go(conc_ref **place) {
  if (*place != NULL) {
    conc_shared_drop(*place);
    conc_ledger_put(*place);
    *place = NULL;
  }
}

void conc_item_fini(conc_item *item) { let_go(&item->place); }
void conc_taken_fini(conc_taken *t) { let_go(&t->place); }

/* ---- The end ---- */

apr_status_t conc_ring_withdraw(conc_ring *r, conc_ref **lost) {
  uint32_t pos = (uint32_t)(atomic_load(&r->intent) >> 1);
  conc_chunk *c = conc_chunk_at(atomic_load(&r->put_at));
  if (c == NULL)
    return CONC_CORRUPT;
  if (conc_position_distance(pos, conc_position(atomic_load(&r->tail))) <= 0) {
    conc_ref *parcel = &conc_record_at(c, pos)->parcel;
    if (atomic_load(parcel) != 0) {
      if (conc_parcel_at(atomic_load(parcel)) == NULL)
        return CONC_CORRUPT;
      if ((*lost = conc_ledger_get()) == NULL)
        return CONC_EXHAUSTED;
      conc_heap_move(*lost, parcel);
    }
  }
  conc_step();
  atomic_store(&r->intent, 0);
  return APR_SUCCESS;
}

void conc_ring_close(conc_ring *r, uint32_t bits) {
  conc_ring_lock(&r->put_latch);
  atomic_fetch_or(&r->closed, bits);
  conc_ring_unlock(&r->put_latch);
  conc_sgate_notify_all(&r->items);
  conc_sgate_notify_all(&r->space);
}

/* Drop the parcels in a chunk; false: it makes no sense. */
static bool drop_parcels(conc_chunk *c, uint32_t from, uint32_t to) {
  conc_record m;
  if (to - from > c->units)
    return false;
  for (; from != to; from += m.units) {
    if (!conc_record_read(c, from, to - from, &m))
      return false;
    conc_ref *parcel = &conc_record_at(c, from)->parcel;
    if (m.kind == CONC_PARCEL && conc_parcel_at(atomic_load(parcel)) != NULL)
      conc_shared_drop(parcel);
    conc_step();
  }
  return true;
}

static bool drop_intent(conc_ring *r) {
  conc_ref *lost = NULL;
  if (atomic_load(&r->intent) == 0)
    return true;
  if (conc_ring_withdraw(r, &lost) != APR_SUCCESS)
    return false;
  if (lost != NULL) {
    conc_shared_drop(lost);
    conc_ledger_put(lost);
  }
  return true;
}

/* A block that was to be the next chunk when its maker died. */
static void free_unused(conc_chunk *last) {
  uint64_t next = atomic_load(&last->next);
  if (next != conc_heap_offset(last) && conc_heap_valid(next))
    conc_heap_free(&last->next);
}

/*
 * Nobody else has it, or will: no latch.  Done again after a death it finds
 * fewer chunks, and records whose parcels are gone.
 */
void conc_ring_destroy(conc_ring *r) {
  uint32_t head = conc_position(atomic_load(&r->head)), from, to;
  if (conc_chunk_finish(r) != APR_SUCCESS || !drop_intent(r))
    return;
  for (uint64_t first; (first = atomic_load(&r->first)) != 0;) {
    uint64_t put_at = atomic_load(&r->put_at);
    bool last = first == put_at;
    conc_chunk *c = put_at == 0 ? NULL : conc_chunk_at(first);
    if (c == NULL) {
      if (put_at == 0 && conc_heap_valid(first))
        conc_heap_free(&r->first); /* the maker of the first one died */
      return;
    }
    from = conc_position_distance(c->base, head) > 0 ? head : c->base;
    to = last ? conc_position(atomic_load(&r->tail)) : c->end;
    if (!drop_parcels(c, from, to))
      return;
    if (last)
      free_unused(c);
    conc_step();
    if (last)
      conc_heap_free(&r->first);
    else if (conc_chunk_leave(r) != APR_SUCCESS)
      return;
  }
}
