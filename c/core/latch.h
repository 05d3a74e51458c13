#ifndef CONC_LATCH_H
#define CONC_LATCH_H

/*
 * What Lock and RLock are made of: a word that one thread holds at a time,
 * and that can be waited for with a deadline and be cancelled.  Whoever comes
 * at the right moment may overtake those who sleep, but only for about a
 * millisecond: then the latch is handed to the one who has slept longest.
 *
 * A word of zero is a free latch.  It belongs to nobody in particular: any
 * thread may release what another has acquired.
 */

#include <apr_errno.h>

#include "base/status.h"
#include "wait/lot.h"

enum { CONC_LATCH_FREE, CONC_LATCH_HELD }; /* the others are latch.c's */

/* Take the latch if it is free. */
static inline bool conc_latch_try(conc_word *w) {
  uint32_t v = CONC_LATCH_FREE;
  /* Acquire: pairs with the release of whoever held it before. */
  return atomic_compare_exchange_strong_explicit(
    w, &v, CONC_LATCH_HELD, memory_order_acquire, memory_order_relaxed);
}

/*
 * Take the latch, waiting until 'deadline'.  APR_SUCCESS, or APR_TIMEUP,
 * CONC_CANCELLED, CONC_INTERRUPTED: not taken.  A free one is taken whatever
 * the deadline.
 */
apr_status_t conc_latch_acquire(conc_word *w, conc_parker *self,
                                conc_time deadline);

/* The rest of conc_latch_release. */
apr_status_t conc_latch_hand_over(conc_word *w);

/* Free the latch if it is held and nobody sleeps on it; else do nothing. */
static inline bool conc_latch_quit(conc_word *w) {
  uint32_t v = CONC_LATCH_HELD;
  /* Release: the next holder sees what this one wrote. */
  return atomic_compare_exchange_strong_explicit(
    w, &v, CONC_LATCH_FREE, memory_order_release, memory_order_relaxed);
}

/* Free the latch.  CONC_MISUSE: nobody holds it, and nothing was done. */
static inline apr_status_t conc_latch_release(conc_word *w) {
  return conc_latch_quit(w) ? APR_SUCCESS : conc_latch_hand_over(w);
}

/*
 * For a wait on several things: what a thread knows that tries to get a latch.
 * It begins with 'word' and zeros.  take gets it if that can be done at once.
 * enter does the same or fills in *w for conc_wait_any; afterwards 'chosen' is
 * set to whether that returned APR_SUCCESS for this waiter.  Who was chosen and
 * ends without taking must decline: it lets the next one have its chance.
 */
typedef struct conc_latch_effort {
  conc_word *word;
  int64_t since; /* when it first went to sleep */
  bool chosen;   /* by the wake that ended its last sleep */
  uint32_t seen; /* what to sleep on */
} conc_latch_effort;

bool conc_latch_take(conc_latch_effort *e);
bool conc_latch_enter(conc_latch_effort *e, conc_waiter *w);
void conc_latch_decline(conc_latch_effort *e);

/* Was it held, or on its way to the next holder, a moment ago? */
static inline bool conc_latch_held(const conc_word *w) {
  return atomic_load(w) != CONC_LATCH_FREE;
}

#endif
