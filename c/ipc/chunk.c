#include "ipc/chunk.h"

#include "base/status.h"

enum { LEAST = 64, MOST = 1 << 14 }; /* units */

_Static_assert(sizeof(conc_chunk) == CONC_UNIT, "units are aligned");

conc_chunk *conc_chunk_at(uint64_t offset) {
  if (!conc_heap_valid(offset) ||
      conc_shared_class_of(offset) != CONC_SHARED_BYTES)
    return NULL;
  conc_chunk *c = conc_heap_at(offset);
  uint64_t room = conc_heap_size(offset);
  return room >= sizeof *c && c->units != 0 &&
             (c->units & (c->units - 1)) == 0 &&
             c->units <= (room - sizeof *c) / CONC_UNIT
           ? c
           : NULL;
}

bool conc_record_read(conc_chunk *c, uint32_t pos, uint32_t most,
                      conc_record *out) {
  const conc_record *m = conc_record_at(c, pos);
  out->size = m->size;
  out->units = m->units;
  out->kind = m->kind;
  out->tag = m->tag;
  return out->units != 0 && out->units <= conc_chunk_rest(c, pos) &&
         out->units <= most;
}

/* Make the block that *next holds the chunk to fill. */
static apr_status_t enter_next(conc_ring *r, conc_chunk *from, uint64_t next) {
  conc_chunk *c = conc_heap_at(next);
  uint32_t pos = conc_position(atomic_load(&r->tail)), units = 1;
  if (!conc_heap_valid(next) || conc_heap_size(next) < sizeof *c + CONC_UNIT)
    return CONC_CORRUPT;
  while (units < MOST &&
         units * 2 <= (conc_heap_size(next) - sizeof *c) / CONC_UNIT)
    units *= 2;
  c->units = units;
  c->base = pos;
  atomic_store(&c->end, pos);
  atomic_store(&c->next, 0);
  if (from != NULL)
    atomic_store(&from->end, pos);
  conc_step();
  conc_world_tell();
  atomic_store(&r->put_at, next);
  conc_step();
  return APR_SUCCESS;
}

static apr_status_t alloc_chunk(conc_ref *place, uint32_t units) {
  return conc_heap_alloc(place, sizeof(conc_chunk) + (size_t)units * CONC_UNIT);
}

/* Twice as much as needed: there may be a PAD before it. */
apr_status_t conc_chunk_add(conc_ring *r, conc_chunk *from, uint32_t need) {
  conc_ref *place = from == NULL ? &r->first : &from->next;
  uint32_t least = LEAST, units = from == NULL ? LEAST : from->units * 2;
  while (least < 2 * need)
    least *= 2;
  units = units > MOST ? MOST : units;
  units = units < least ? least : units;
  if (atomic_load(place) == 0) {
    apr_status_t st = alloc_chunk(place, units);
    if (st == CONC_EXHAUSTED && least < units)
      st = alloc_chunk(place, least);
    if (st != APR_SUCCESS)
      return st;
  }
  return enter_next(r, from, atomic_load(place));
}

apr_status_t conc_chunk_finish(conc_ring *r) {
  uint64_t old = atomic_load(&r->old);
  if (old == 0)
    return APR_SUCCESS;
  conc_chunk *c = conc_chunk_at(old);
  if (c == NULL)
    return CONC_CORRUPT;
  if (atomic_load(&r->first) == 0 && atomic_load(&c->next) != 0)
    conc_heap_move(&r->first, &c->next);
  conc_step();
  conc_heap_free(&r->old);
  conc_step();
  return APR_SUCCESS;
}

apr_status_t conc_chunk_leave(conc_ring *r) {
  conc_heap_move(&r->old, &r->first);
  conc_step();
  return conc_chunk_finish(r);
}
