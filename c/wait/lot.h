#ifndef CONC_LOT_H
#define CONC_LOT_H

/*
 * The parking lot: the one way to wait.  Objects hold plain words; whoever
 * must wait until a word changes is queued here under the word's address, in
 * the order of coming, and costs the object nothing.
 *
 * The model is a futex in user space (WebKit's ParkingLot, Rust's
 * parking_lot), with two more things: one wait may be on several words, and
 * it can be cancelled.
 *
 * Each object's protocol is the same: read the word; see that one must wait;
 * call conc_wait with what was read; look again.  Whoever changes the word
 * calls conc_wake afterwards.  conc_wait compares and queues in one step with
 * respect to conc_wake, so a change is either seen or followed by a wake.
 */

#include <apr_errno.h>
#include <stddef.h>

#include "wait/parker.h"

struct conc_sleeper;

/* One word of a wait.  Lives on the waiting thread's stack. */
typedef struct conc_waiter {
  conc_word *word;                 /* in */
  uint32_t expected;               /* in */
  uint32_t index;                  /* in the wait's list */
  struct conc_sleeper *sleeper;    /* the wait it belongs to */
  struct conc_waiter *prev, *next; /* under the bucket's lock, as 'queued' */
  uint32_t queued; /* in its queue: 1 + the number of the process then; or 0 */
} conc_waiter;

/*
 * Sleep while *w == expected, until woken.
 *   APR_SUCCESS: a conc_wake chose this wait, and counted it.
 *   APR_EAGAIN: the word was another already; nobody counted anything.
 *   APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED: nobody chose this wait, and
 *   nobody will.
 * It looks for a while before it sleeps (spin.h), and then may give EAGAIN.
 */
apr_status_t conc_wait(conc_word *w, uint32_t expected, conc_parker *self,
                       conc_time deadline);

/*
 * The same on n > 0 words at once: exactly one wake can choose it.  *which is
 * the index of the word that was woken or had changed.  Does not spin.
 */
apr_status_t conc_wait_any(conc_waiter *list, size_t n, size_t *which,
                           conc_parker *self, conc_time deadline);

/*
 * Wake up to n waits on 'w', oldest first; returns how many were chosen.
 * 'w' is only an address: the object may be gone.
 */
size_t conc_wake(conc_word *w, size_t n);

/*
 * From the first call on: in a process that is forked nobody is queued, and no
 * inner lock is held by a thread that is not there.
 */
void conc_wait_mind_forks(void);

#define CONC_ALL ((size_t)-1)

#endif
