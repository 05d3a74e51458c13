#ifndef CONC_SLOCK_H
#define CONC_SLOCK_H

/*
 * The lock of core/lock.h in shared memory: one thread of one process at a
 * time.  It has no owner as far as release goes; but the process that acquired
 * it is known, and if that dies the next acquire gets the lock all the same,
 * and is told.
 */

#include "ipc/robust.h"
#include "ipc/sgate.h"
#include "ipc/shared.h"

/*
 * The object.  Who watches the gate and then marks the latch is rung by the
 * release from that mark: the holder has to find it.
 *   [a] atomic
 */
typedef struct conc_slock_word {
  conc_word latch;     /* [a] */
  conc_word abandoned; /* [a] 1: the next to acquire it has to be told */
  conc_sgate gate;     /* for those who select; nobody sleeps there */
} conc_slock_word;

typedef struct conc_slock {
  conc_proxy proxy;
} conc_slock;

extern const conc_shared_class conc_slock_class;

apr_status_t conc_slock_new(conc_slock **out);

static inline conc_slock_word *conc_slock_at(const conc_slock *l) {
  return l->proxy.at;
}

/*
 * For everything that is built on such a word.  APR_SUCCESS, CONC_ABANDONED:
 * held; APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED: not.
 */
apr_status_t conc_slock_take(conc_slock_word *w, conc_parker *self,
                             conc_time deadline);

/* The same for who watches the gate, as conc_robust_enter. */
apr_status_t conc_slock_enter(conc_slock_word *w, bool slept);

/* The rest of conc_slock_drop. */
apr_status_t conc_slock_hand_over(conc_slock_word *w);

/* Free it.  CONC_MISUSE: it is free, and stays so. */
static inline apr_status_t conc_slock_drop(conc_slock_word *w) {
  return conc_robust_quit(&w->latch) ? APR_SUCCESS : conc_slock_hand_over(w);
}

/* Take it however long it takes; what there is to be told waits for the next
   acquire. */
void conc_slock_retake(conc_slock_word *w, conc_parker *self);

static inline apr_status_t conc_slock_acquire(conc_slock *l, conc_parker *self,
                                              conc_time deadline) {
  return conc_slock_take(conc_slock_at(l), self, deadline);
}

/* CONC_MISUSE: it is free, and stays so. */
static inline apr_status_t conc_slock_release(conc_slock *l) {
  return conc_slock_drop(conc_slock_at(l));
}

static inline bool conc_slock_locked(const conc_slock *l) {
  return conc_robust_held(&conc_slock_at(l)->latch);
}

#endif
