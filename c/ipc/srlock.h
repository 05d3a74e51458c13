#ifndef CONC_SRLOCK_H
#define CONC_SRLOCK_H

/*
 * The lock of core/rlock.h in shared memory.  Its holder is a thread of a
 * process.
 */

#include "ipc/slock.h"

/*
 * The object.  Invariant: 'owner' names a living thread only while that thread
 * holds the lock; 'level' counts its acquires then.
 *   [a] atomic   [o] of whoever holds the lock
 */
typedef struct conc_srlock_word {
  conc_slock_word lock; /* [a] */
  conc_ref owner;       /* [a] written as [o]: member << 32 | thread */
  uint32_t level;       /* [o] */
} conc_srlock_word;

typedef struct conc_srlock {
  conc_proxy proxy;
} conc_srlock;

extern const conc_shared_class conc_srlock_class;

static inline conc_srlock_word *conc_srlock_at(const conc_srlock *l) {
  return l->proxy.at;
}

apr_status_t conc_srlock_new(conc_srlock **out);

/* Does the caller hold it? */
bool conc_srlock_owned(const conc_srlock *l, const conc_parker *self);

/*
 * One level more: APR_SUCCESS, CONC_ABANDONED; or APR_TIMEUP, CONC_CANCELLED,
 * CONC_INTERRUPTED; CONC_MISUSE: held 2^32 - 1 times already.
 */
apr_status_t conc_srlock_acquire(conc_srlock *l, conc_parker *self,
                                 conc_time deadline);

/* The same for who watches the gate: APR_EAGAIN as conc_slock_enter. */
apr_status_t conc_srlock_enter(conc_srlock *l, conc_parker *self, bool slept);

/* One level less.  CONC_MISUSE: the caller does not hold it. */
apr_status_t conc_srlock_release(conc_srlock *l, const conc_parker *self);

bool conc_srlock_locked(const conc_srlock *l);

/* For conditions, as in core/rlock.h. */
uint32_t conc_srlock_save(conc_srlock *l);
void conc_srlock_restore(conc_srlock *l, uint32_t level, conc_parker *self);

#endif
