#ifndef CONC_ROBUST_H
#define CONC_ROBUST_H

/*
 * The latch of core/latch.h for shared memory: a word that one thread of one
 * process holds at a time, and that survives the death of its holder.  The
 * word says which process holds it (see heap.h on members), so there is no
 * moment at which it is held and nobody knows by whom.
 *
 * A word of zero is a free latch.  It belongs to no thread in particular: any
 * thread of any process may release what another has acquired.
 */

#include <apr_errno.h>

#include "base/status.h"
#include "ipc/heap.h"
#include "ipc/world.h"
#include "wait/parker.h"

enum {
  CONC_ROBUST_AWAITED = 1, /* somebody may sleep */
  CONC_ROBUST_STARVED = 2, /* ... and was overtaken for too long */
  CONC_ROBUST_OWNER = 2    /* the member's number is shifted by this */
};

/* The word when this process holds it and nobody sleeps. */
static inline uint32_t conc_robust_mine(void) {
  return conc_heap_self() << CONC_ROBUST_OWNER;
}

/* Take the latch if it is free. */
static inline bool conc_robust_try(conc_word *w) {
  uint32_t v = 0;
  /* Acquire: pairs with the release of whoever held it before. */
  bool free = atomic_compare_exchange_strong_explicit(
    w, &v, conc_robust_mine(), memory_order_acquire, memory_order_relaxed);
  if (free)
    conc_world_hear();
  return free;
}

/*
 * Take the latch, waiting until 'deadline'.  APR_SUCCESS; CONC_ABANDONED: taken
 * as well, from a process that died with it; or APR_TIMEUP, CONC_CANCELLED,
 * CONC_INTERRUPTED: not taken.  A free one is taken whatever the deadline.
 * With self == NULL and CONC_FOREVER it is always taken.
 */
apr_status_t conc_robust_acquire(conc_word *w, conc_parker *self,
                                 conc_time deadline);

/*
 * For who sleeps elsewhere: take the latch, or see to it that its release is
 * one by conc_robust_hand_over.  'slept' says that this is not the first time.
 * APR_SUCCESS, CONC_ABANDONED: taken; APR_EAGAIN: not.
 */
apr_status_t conc_robust_enter(conc_word *w, bool slept);

/* Free the latch if this process holds it and nobody has asked to hear. */
static inline bool conc_robust_quit(conc_word *w) {
  uint32_t v = conc_robust_mine();
  conc_world_tell();
  /* Release: the next holder sees what this one wrote. */
  return atomic_compare_exchange_strong_explicit(w, &v, 0, memory_order_release,
                                                 memory_order_relaxed);
}

/* The rest of conc_robust_release. */
apr_status_t conc_robust_hand_over(conc_word *w);

/* Free the latch.  CONC_MISUSE: nobody holds it, and nothing was done. */
static inline apr_status_t conc_robust_release(conc_word *w) {
  return conc_robust_quit(w) ? APR_SUCCESS : conc_robust_hand_over(w);
}

/* Was it held, a moment ago?  By a dead process counts as held. */
static inline bool conc_robust_held(const conc_word *w) {
  return atomic_load(w) >> CONC_ROBUST_OWNER != 0;
}

/* The member that holds it; 0: nobody. */
static inline uint32_t conc_robust_owner(const conc_word *w) {
  return atomic_load(w) >> CONC_ROBUST_OWNER;
}

#endif
