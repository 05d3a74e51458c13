#ifndef CONC_STATUS_H
#define CONC_STATUS_H

/*
 * Every call that can fail returns an apr_status_t.  APR_SUCCESS, APR_TIMEUP,
 * APR_ENOMEM and the like are APR's; these are the outcomes it has no word for.
 */

#include <apr_errno.h>

enum {
  /* The object was shut down: no such thing will ever come again. */
  CONC_CLOSED = APR_OS_START_USERERR + 700,
  /* Somebody asked the waiting thread to stop. */
  CONC_CANCELLED,
  /* The waiting thread's owner wants it back for a moment (a signal). */
  CONC_INTERRUPTED,
  /* The object is not in a state that allows the call. */
  CONC_MISUSE,
  /* The barrier is broken. */
  CONC_BROKEN,
  /* The lock is the caller's; a process that held it has died. */
  CONC_ABANDONED,
  /* There is no more shared memory. */
  CONC_EXHAUSTED,
  /* Bytes of another process that make no sense. */
  CONC_CORRUPT,
  /* Nobody is left who could end the wait. */
  CONC_DEADLOCK
};

#endif
