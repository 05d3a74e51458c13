#ifndef CONC_CONDITION_H
#define CONC_CONDITION_H

/*
 * A condition: threads that hold a lock wait for others, who hold it in turn,
 * to say that something has changed.
 */

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/object.h"
#include "wait/parker.h"

typedef struct conc_condition conc_condition;

extern const conc_class conc_condition_class;

/*
 * 'lock' is a conc_lock or a conc_rlock, of which the condition keeps a
 * reference; NULL: a new conc_rlock.
 */
apr_status_t conc_condition_new(conc_condition **out, conc_obj *lock);

/* The lock's own. */
apr_status_t conc_condition_acquire(conc_condition *c, conc_parker *self,
                                    conc_time deadline);
apr_status_t conc_condition_release(conc_condition *c, conc_parker *self);
bool conc_condition_locked(const conc_condition *c);

/* Does the caller hold the lock?  Of a plain lock: does anybody? */
bool conc_condition_owned(const conc_condition *c, const conc_parker *self);

/*
 * Release the lock, however often it is held, wait for a notify, take the lock
 * back as it was.  The last step takes the time that it takes.
 *
 * CONC_MISUSE: the lock is not held, nothing was done.  Otherwise it is held
 * again.  APR_SUCCESS: a notify chose this thread.  APR_TIMEUP, CONC_CANCELLED,
 * CONC_INTERRUPTED: none did until the lock was held again.
 */
apr_status_t conc_condition_wait(conc_condition *c, conc_parker *self,
                                 conc_time deadline);

/*
 * Choose the up to n threads that have waited longest.  CONC_MISUSE: the lock
 * is not held.
 */
apr_status_t conc_condition_notify(conc_condition *c, size_t n,
                                   const conc_parker *self);

#endif
