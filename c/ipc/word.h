#ifndef CONC_IPC_WORD_H
#define CONC_IPC_WORD_H

/*
 * Waiting on one word of shared memory, between processes: what wait/lot.h is
 * inside of one.  It is a plain futex: nobody is chosen, everybody looks
 * again, and a wake may be spent on a thread that dies before it does
 * anything.  So who relies on others to wake it sleeps in slices: see robust.h
 * for locks and sgate.h for everything else.
 */

#include <apr_errno.h>

#include "wait/parker.h"

/*
 * Sleep while *w == expected.  APR_SUCCESS: it is another one now.
 * APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED.  Does not spin.
 * With self == NULL nothing but the deadline ends it early.
 */
apr_status_t conc_word_sleep(conc_word *w, uint32_t expected, conc_parker *self,
                             conc_time deadline);

/* Wake one sleeper or all; false: surely there was none. */
bool conc_word_wake(conc_word *w, bool all);

#endif
