#ifndef CONC_EXECUTOR_H
#define CONC_EXECUTOR_H

/*
 * An executor is a queue of messages and threads that take them.  A message's
 * first reference is its future; what the rest means is the business of the
 * layer above, which gives 'run'.
 *
 * Handles and pool are two objects: users and messages hold the handle, and
 * with the last of those the pool takes no more work and ends when it has done
 * what it has.  Workers and the root hold the pool.
 */

#include <apr_errno.h>

#include "core/future.h"
#include "core/queue.h"
#include "core/thread.h"

typedef struct conc_pool conc_pool;

typedef struct conc_executor {
  conc_obj obj;
  conc_pool *pool; /* [c] a reference */
} conc_executor;

extern const conc_class conc_executor_class;

/* [c] all, and the strings and references are the pool's from new on */
typedef struct conc_pool_conf {
  size_t max_workers;
  char *prefix;  /* of thread names; from conc_alloc */
  conc_msg init; /* what each worker does first; empty: nothing */
  conc_obj *env; /* what workers begin with */
  void *arg;     /* for the layer above */
  /* The life of a worker: takes messages until conc_pool_take says no. */
  void (*run)(conc_thread *t, void *prepared);
} conc_pool_conf;

/* Takes what conf owns, also when it fails. */
apr_status_t conc_executor_new(conc_executor **out, conc_root *root,
                               conc_pool_conf *conf);

/*
 * Queue a message and see that somebody will take it.  APR_SUCCESS: taken
 * over.  CONC_CLOSED: shut down; CONC_BROKEN; APR_ENOMEM or what starting the
 * first thread gave: *m is still the caller's.
 */
apr_status_t conc_pool_submit(conc_pool *p, conc_msg *m, conc_parker *self);

/* In a worker: the pool of its thread, and its configuration. */
conc_pool *conc_pool_of(conc_thread *t);
const conc_pool_conf *conc_pool_conf_of(const conc_pool *p);

/* In a worker: the next message; false: end. */
bool conc_pool_take(conc_pool *p, conc_msg *m, conc_parker *self);

/* In a worker: the message it took is dealt with, or as good as: nothing that
   it waits for comes before the next take. */
void conc_pool_done(conc_pool *p);

/* A worker cannot do its init: fail all work, now and later.  'why' (error
   value, traceback) is taken. */
void conc_pool_break(conc_pool *p, conc_msg *why);
/* The 'why' of a broken pool, or NULL. */
conc_msg *conc_pool_why(conc_pool *p);

/* No more submits; with 'cancel' also cancel what has not started. */
void conc_pool_shutdown(conc_pool *p, bool cancel);

/* Wait until every worker has ended. */
apr_status_t conc_pool_join(conc_pool *p, conc_parker *self,
                            conc_time deadline);

size_t conc_pool_workers(const conc_pool *p);
size_t conc_pool_queued(const conc_pool *p);

#endif
