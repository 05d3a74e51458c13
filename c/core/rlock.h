#ifndef CONC_RLOCK_H
#define CONC_RLOCK_H

/*
 * A lock that its holder may acquire again, and that is free when it was
 * released as often.  A thread is known by its parker's life: nobody is taken
 * for one that has ended and left the lock held.
 */

#include "base/object.h"
#include "core/latch.h"

/*
 * Invariant: 'owner' is a thread's own life only while that thread holds the
 * latch; 'level' counts its acquires then, and is 0 when nobody does.
 *   [a] atomic   [o] of whoever holds the latch
 */
typedef struct conc_rlock {
  conc_obj obj;
  conc_word latch;        /* [a] */
  uint32_t level;         /* [o] */
  _Atomic uint64_t owner; /* [a] written as [o] */
} conc_rlock;

extern const conc_class conc_rlock_class;

apr_status_t conc_rlock_new(conc_rlock **out);

/* Does the caller hold it? */
static inline bool conc_rlock_owned(const conc_rlock *l,
                                    const conc_parker *self) {
  /* Relaxed: the only thread that can find itself here wrote it itself. */
  return atomic_load_explicit(&l->owner, memory_order_relaxed) == self->life;
}

/*
 * APR_SUCCESS: one level more.  APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED;
 * CONC_MISUSE: held 2^32 - 1 times already.
 */
apr_status_t conc_rlock_acquire(conc_rlock *l, conc_parker *self,
                                conc_time deadline);

/* One level less.  CONC_MISUSE: the caller does not hold it. */
apr_status_t conc_rlock_release(conc_rlock *l, conc_parker *self);

static inline bool conc_rlock_locked(const conc_rlock *l) {
  return conc_latch_held(&l->latch);
}

/* For a wait on several things: the caller has just taken the latch. */
void conc_rlock_taken(conc_rlock *l, conc_parker *self);

/*
 * For conditions.  The holder lets go of all levels and learns how many; later
 * it takes them back, however long that takes.
 */
uint32_t conc_rlock_save(conc_rlock *l);
void conc_rlock_restore(conc_rlock *l, uint32_t level, conc_parker *self);

#endif
