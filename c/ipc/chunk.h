#ifndef CONC_CHUNK_H
#define CONC_CHUNK_H

/*
 * What a ring is made of, for chunk.c, ring.c, ring_put.c and ring_get.c, which
 * tell how it is used; nobody else includes it.
 */

#include "ipc/ring.h"
#include "ipc/robust.h"
#include "ipc/step.h"

enum { CONC_UNIT = 64 };

/* [c] constant once it is put_at   [p] under 'put_latch' */
typedef struct conc_chunk {
  uint32_t units; /* [c] a power of two */
  uint32_t base;  /* [c] its first position */
  conc_word end;  /* [a] its last, when put_at has gone on; written as [p] */
  conc_ref next;  /* [p] */
  _Alignas(CONC_UNIT) unsigned char at[];
} conc_chunk;

enum { CONC_PAD = 1, CONC_INLINE, CONC_PARCEL };

/* At the start of a run of units; the bytes of an INLINE one are behind it. */
typedef struct conc_record {
  uint32_t size;  /* INLINE: bytes */
  uint16_t units; /* of the run */
  uint8_t kind;
  uint8_t tag;
  conc_ref parcel; /* PARCEL */
} conc_record;

enum { CONC_RECORD_HEAD = offsetof(conc_record, parcel) };

/* ---- Positions ---- */

static inline uint32_t conc_position(uint64_t word) { return (uint32_t)word; }

static inline uint64_t conc_position_step(uint64_t word, uint32_t messages,
                                          uint32_t units) {
  uint64_t n = (uint64_t)((uint32_t)(word >> 32) + messages) << 32;
  return n | (uint32_t)((uint32_t)word + units);
}

/* How far 'to' is from 'from'; negative: before it. */
static inline int32_t conc_position_distance(uint32_t from, uint32_t to) {
  return (int32_t)(to - from);
}

/* ---- Records ---- */

static inline uint32_t conc_units_for(size_t size) {
  return (uint32_t)((CONC_RECORD_HEAD + size + CONC_UNIT - 1) / CONC_UNIT);
}

static inline conc_record *conc_record_at(conc_chunk *c, uint32_t pos) {
  return (conc_record *)(void *)(c->at +
                                 (size_t)(pos & (c->units - 1)) * CONC_UNIT);
}

/* Units from there to the chunk's end. */
static inline uint32_t conc_chunk_rest(const conc_chunk *c, uint32_t pos) {
  return c->units - (pos & (c->units - 1));
}

/* Copy the head of the record at 'pos', of at most 'most' units, if it makes
   sense. */
bool conc_record_read(conc_chunk *c, uint32_t pos, uint32_t most,
                      conc_record *out);

/* ---- Chunks ---- */

/* The chunk at 'offset', as far as one can see; or NULL. */
conc_chunk *conc_chunk_at(uint64_t offset);

/*
 * Under 'put_latch': go on in a larger chunk than 'from' (NULL: in the first),
 * with room for a run of 'need' units; or, if somebody died making one, in that.
 */
apr_status_t conc_chunk_add(conc_ring *r, conc_chunk *from, uint32_t need);

/* Under 'get_latch': leave the first chunk, which is not the last. */
apr_status_t conc_chunk_leave(conc_ring *r);
/* ... finish it, if somebody has begun it. */
apr_status_t conc_chunk_finish(conc_ring *r);

/* ---- Of rings ---- */

/* Does so much inside mean that puts wait? */
bool conc_ring_over(const conc_ring *r, uint64_t tail, uint64_t head);

/*
 * Under 'put_latch': what a dead one was about to put goes to *lost, a new
 * place in the ledger; NULL: there is nothing.
 */
apr_status_t conc_ring_withdraw(conc_ring *r, conc_ref **lost);

/* What a dead holder did to places is finished before anybody believes them. */
static inline void conc_ring_lock(conc_word *latch) {
  if (!conc_robust_try(latch) &&
      conc_robust_acquire(latch, NULL, CONC_FOREVER) == CONC_ABANDONED)
    conc_heap_settle();
}

static inline void conc_ring_unlock(conc_word *latch) {
  conc_step();
  (void)conc_robust_release(latch);
}

#endif
