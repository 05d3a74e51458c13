#ifndef CONC_RING_H
#define CONC_RING_H

/*
 * A ring: first in, first out, of messages of any size, in shared memory; any
 * number of processes put and get.  Other objects have one inside (squeue.h,
 * spipe.h).
 *
 * Any process may die at any instruction: with it goes at most the message that
 * it was putting or getting, and nobody else waits for it.
 *
 * Short messages lie in the ring, longer ones and those with shared objects are
 * parcels, which the ring holds.  When it is full it goes on in a larger piece
 * of memory: a put waits for no reader, unless the ring was given a bound.
 */

#include <apr_errno.h>

#include "ipc/parcel.h"
#include "ipc/sgate.h"
#include "wait/gather.h"

/* What is put: the bytes of 'head' and then of 'data', and shared objects.
   'tag' is the user's, and comes out again. */
typedef struct conc_load {
  const void *head; /* 'nhead' bytes, at most 64 */
  size_t nhead;
  const void *data;
  size_t size;
  conc_proxy *const *shared;
  uint32_t nshared;
  uint8_t tag;
} conc_load;

enum { CONC_RING_INLINE = 4096 - 8 };

/*
 * What was taken: the caller's until conc_item_fini.  Not to be copied: 'data'
 * may point into it.
 */
typedef struct conc_item {
  const unsigned char *data; /* aligned to 8 */
  size_t size;
  conc_ref *place; /* in the ledger: what holds the parcel, or NULL */
  uint32_t nshared;
  uint8_t tag;
  uint32_t tags; /* the ring's: which are welcome */
  _Alignas(8) unsigned char bytes[CONC_RING_INLINE];
} conc_item;

/* The i-th shared object of it, retained; as conc_shared_get. */
apr_status_t conc_item_shared(const conc_item *item, uint32_t i,
                              conc_proxy **out);
void conc_item_fini(conc_item *item);

/* Of 'closed'. */
enum {
  CONC_RING_NO_MORE = 1, /* no more puts; what is inside can be got */
  CONC_RING_NOBODY = 2   /* nor will anybody get anything */
};

/*
 * All zeros is a ring without a bound.  'tail' and 'head' count what ever went
 * in and came out, in one word: messages << 32 | units of 64 bytes, each modulo
 * 2^32.  They are written after everything else is done, and so tell in one
 * step what is in the ring.  The rest is explained in ring.c.
 *
 *   [c] constant once published   [a] atomic
 *   [p] guarded by 'put_latch'    [g] guarded by 'get_latch'
 */
typedef struct conc_ring {
  /* For each side a line that the other one rarely looks at. */
  _Alignas(64) conc_word put_latch;
  uint64_t head_seen; /* [p] an old 'head' */
  conc_ref intent;    /* [p] see ring.c */
  conc_ref put_at;    /* [p] offset of the chunk that is filled */
  _Alignas(64) _Atomic uint64_t tail; /* [a] written as [p] */
  _Alignas(64) conc_word get_latch;
  _Atomic uint64_t tail_seen;         /* [g] an old 'tail' */
  conc_ref first;                     /* [g] the chunk that is emptied */
  conc_ref old;                       /* [g] one that was, on its way out */
  conc_gather gather;                 /* [a] how long those who get stay away */
  _Alignas(64) _Atomic uint64_t head; /* [a] written as [g] */
  /* And one that is hardly ever written. */
  _Alignas(64) conc_sgate items; /* who gets waits here */
  conc_sgate space;              /* who puts */
  conc_word closed;              /* [a] bits are set as [p] */
  uint32_t most;     /* [c] units after which puts wait; 0: no bound */
  uint64_t capacity; /* [c] messages; 0: no bound */
} conc_ring;

/*
 * Append a message, waiting for room until 'deadline'.  APR_SUCCESS: it is in.
 * Otherwise nothing was done: APR_TIMEUP (still full), CONC_CLOSED,
 * CONC_EXHAUSTED, CONC_CORRUPT, CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_ring_push(conc_ring *r, const conc_load *load,
                            conc_parker *self, conc_time deadline);

/*
 * Take the next message, waiting for one until 'deadline'.  APR_SUCCESS: it is
 * the caller's.  APR_TIMEUP, CONC_CLOSED (no more puts, and empty),
 * CONC_EXHAUSTED (no memory to take it; it stays), CONC_CORRUPT,
 * CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_ring_pop(conc_ring *r, conc_item *item, conc_parker *self,
                           conc_time deadline);

/*
 * The same for a message with one of the tags 1 << tag; CONC_MISUSE: the next
 * one has another tag, and stays.
 */
apr_status_t conc_ring_pop_tagged(conc_ring *r, conc_item *item, uint32_t tags,
                                  conc_parker *self, conc_time deadline);

/* What was taken without its data but for the first bytes. */
typedef struct conc_taken {
  conc_ref *place; /* as in conc_item; conc_taken_fini */
  size_t size;
  uint8_t tag;
  _Alignas(8) unsigned char head[24]; /* zeros behind 'size' */
} conc_taken;

/*
 * Take all that is inside in one step: nobody who gets comes in between.  *n
 * messages were taken, at most 'room'.  APR_SUCCESS: nothing is left.  APR_EAGAIN:
 * there was no room for more; else as conc_ring_pop, and more may be left.
 */
apr_status_t conc_ring_drain(conc_ring *r, conc_taken *list, size_t room,
                             size_t *n);
void conc_taken_fini(conc_taken *t);

/* Set bits of 'closed' and let all who wait look.  After NO_MORE nothing comes
   in. */
void conc_ring_close(conc_ring *r, uint32_t bits);

/* Would a push (or a pop) not wait, a moment ago?  The argument is the ring. */
bool conc_ring_has_room(const void *ring);
bool conc_ring_has_item(const void *ring);

/* Messages inside, a moment ago. */
uint32_t conc_ring_len(const conc_ring *r);

/* Messages ever put, modulo 2^32. */
static inline uint32_t conc_ring_puts(const conc_ring *r) {
  return (uint32_t)(atomic_load(&r->tail) >> 32);
}

/* Drop all that is inside; for the destroy of a class (shared.h). */
void conc_ring_destroy(conc_ring *r);

#endif
