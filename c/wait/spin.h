#ifndef CONC_SPIN_H
#define CONC_SPIN_H

/*
 * Looking before sleeping.  A wake-up across processors takes tens of
 * microseconds, a change seen by a looking thread takes a fraction of one.  So
 * a waiter looks for a while first, and the while adapts:
 *
 *  - a look that pays doubles it, up to MOST (about a wake-up's cost: at
 *    worst a wait costs twice what sleeping at once would have cost);
 *  - one that does not quarters it, down to LEAST;
 *  - every PROBE-th look is a long one, so that two threads that wake each
 *    other through the kernel find out that they need not.
 *
 * Nobody looks when there is one processor, and never do more threads look
 * than there are processors.
 */

#include <stdbool.h>

#include "wait/parker.h"

enum {
  CONC_SPIN_MOST = 100000, /* ns */
  CONC_SPIN_LEAST = 2000,  /* ns */
  CONC_SPIN_PROBE = 32
};

/* Is there a second processor at all? */
bool conc_spin_useful(void);

/* Ask ready(arg) for a bounded time; true as soon as it says so. */
bool conc_spin(conc_parker *self, bool (*ready)(const void *), const void *arg);

#endif
