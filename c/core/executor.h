#ifndef CONC_EXECUTOR_H
#define CONC_EXECUTOR_H

/*
 * An executor is a list of futures and threads that run them.  What a future's
 * task means is the business of the layer above, which gives 'run'.
 *
 * Handles and pool are two objects: users and tasks hold the handle, and with
 * the last of those the pool takes no more work and ends when it has done what
 * it has.  Workers and the root hold the pool.
 */

#include <apr_errno.h>

#include "core/root.h"
#include "core/tasks.h"
#include "wait/gate.h"

typedef struct conc_pool conc_pool;
typedef struct conc_worker conc_worker;

typedef struct conc_executor {
  conc_obj obj;
  conc_pool *pool; /* [c] a reference */
} conc_executor;

/* ThreadPoolExecutor, ProcessPoolExecutor */
extern const conc_class conc_executor_class, conc_process_executor_class;

typedef enum {
  CONC_OVERFLOW_BLOCK,
  CONC_OVERFLOW_ERROR,
  CONC_OVERFLOW_CALLER
} conc_overflow;

/* [c] all, and the strings and references are the pool's from new on */
typedef struct conc_pool_conf {
  size_t max_workers;
  size_t max_pending;     /* tasks that have not started; 0: any number */
  conc_overflow overflow; /* for the layer above */
  uint64_t max_tasks;     /* of one worker; 0: any number */
  int64_t idle;       /* ns a worker waits before it leaves; < 0: for ever */
  char *prefix;       /* of thread names; from conc_alloc */
  conc_msg init;      /* what each worker does first; empty: nothing */
  conc_obj *env;      /* what workers begin with */
  void *arg;          /* for the layer above */
  bool processes;     /* a ProcessPoolExecutor, whose threads are not shown */
  bool on_death;      /* for the layer above: a death breaks it */
  const char *method; /* for the layer above: how processes start, static */
  /* The life of a worker: runs tasks until conc_pool_take says no more. */
  void (*run)(conc_worker *w, void *prepared);
  /* Somebody asks a task of that worker to stop; any thread. */
  void (*interrupt)(conc_worker *w);
} conc_pool_conf;

/*
 * One worker.  Its counts are written by itself and read by anybody.
 *   [c] constant after new   [l] pool's lock   [o] of the worker's thread
 *   [a] atomic, written by the worker only
 */
struct conc_worker {
  conc_runner runner;
  conc_pool *pool;           /* [c] */
  conc_thread *thread;       /* [c] */
  void *arg;                 /* [o] of the layer above */
  conc_worker *prev, *next;  /* [l] */
  bool gone;                 /* [o] it is not counted any more */
  bool disabled;             /* [o] */
  conc_time hired;           /* [c] */
  _Atomic int64_t startup;   /* [a] ns from then until it took work */
  _Atomic int64_t waited;    /* [a] ns without a task */
  _Atomic int64_t worked;    /* [a] ns in tasks */
  _Atomic uint64_t ended[3]; /* [a] tasks CANCELLED, FINISHED, FAILED */
  _Atomic uint32_t depth;    /* [a] tasks it runs now, one inside the other */
};

/* Takes what conf owns, also when it fails. */
apr_status_t conc_executor_new(conc_executor **out, conc_root *root,
                               conc_pool_conf *conf);

/* ---- Submitting ---- */

/*
 * A place for one more pending task, of a pool with max_pending; false: there
 * is none.  The room gate opens when there may be one again.
 */
bool conc_pool_reserve(conc_pool *p);
void conc_pool_unreserve(conc_pool *p);
conc_gate *conc_pool_room(conc_pool *p);
bool conc_pool_has_room(const void *pool);
bool conc_pool_is_closed(const conc_pool *p);

/*
 * Queue f, which is pending and has its task, and see that somebody will run
 * it; with max_pending after a reserve, which is used up.  APR_SUCCESS, or it
 * will never run: CONC_CLOSED (shut down), CONC_BROKEN, what starting the
 * first thread gave.
 *
 * *hired is what starting a thread gave, if that was needed, whatever has become
 * of f.  If it is an error, others may have counted on that thread: in a deserted
 * pool the caller fails what is queued.
 */
apr_status_t conc_pool_submit(conc_pool *p, conc_future *f,
                              apr_status_t *hired);
/* Has it no worker, and none about to come? */
bool conc_pool_is_deserted(const conc_pool *p);

const conc_pool_conf *conc_pool_conf_of(const conc_pool *p);

/* ---- For workers ---- */

/*
 * The next task, started, a reference.  CONC_CLOSED: there will be none.
 * APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED as in waits.
 */
apr_status_t conc_pool_take(conc_worker *w, conc_future **f, conc_parker *self,
                            conc_time deadline);

/* A part of what the worker's task had to do, as a task of its own that comes
   before all others. */
void conc_pool_split(conc_worker *w, conc_future *f);
/*
 * Give back a task that was taken and has not begun, with its reference:
 * somebody else will take it.  False: it is to be ended instead, as somebody
 * has asked for that.
 */
bool conc_pool_return(conc_pool *p, conc_future *f);

/* Start this very task, if it is pending here. */
bool conc_pool_claim(conc_worker *w, conc_future *f);

/* A task that it took is dealt with, or as good as: nothing that it waits for
   comes before the next take. */
void conc_worker_ended(conc_worker *w, conc_future_state how);

/* Leave for want of work; false: there is some. */
bool conc_worker_retire(conc_worker *w);
/* Leave, and have a new one do what is left; false: there is none to be had. */
bool conc_worker_replace(conc_worker *w);
/* Leave in any case, if others are there to do what is left. */
bool conc_worker_resign(conc_worker *w);
/*
 * It lacks what it needs to run tasks, and goes on trying; or it has it now.
 * conc_pool_disabled: that is so for every worker, so nobody runs any.
 */
void conc_worker_disable(conc_worker *w);
void conc_worker_enable(conc_worker *w);
bool conc_pool_disabled(const conc_pool *p);
/* Fail what is queued now; what comes later is tried anew.  'why' (error value,
   traceback) is taken. */
void conc_pool_fail_queued(conc_pool *p, conc_msg *why);

/* A task of this pool has been run by somebody else. */
void conc_pool_ran(conc_pool *p, conc_future_state how);

/* A task was that slow: remember it, if it is among the slowest. */
bool conc_pool_is_slow(const conc_pool *p, int64_t ns);
void conc_pool_slow(conc_pool *p, int64_t ns, const char *name);

/* Where idle workers wait, and those that could help. */
conc_gate *conc_pool_gate(conc_pool *p);
/* Is there a task to take, or no hope for one? */
bool conc_pool_ready(const void *pool);

/* Tasks that can be started, a moment ago. */
size_t conc_pool_queued(const conc_pool *p);
/* Nothing is in the list, not even what was cancelled or claimed there. */
bool conc_pool_empty(const conc_pool *p);
/* There are none, and there never will be. */
bool conc_pool_over(const conc_pool *p);
/* Is f one of them? */
bool conc_pool_has(const conc_pool *p, const conc_future *f);

/*
 * This worker waits, without a deadline, for a task that is queued here, and
 * cannot run it itself.  False: every worker does, so nobody ever will.
 */
bool conc_pool_stick(conc_pool *p);
void conc_pool_unstick(conc_pool *p);

/* ---- The end ---- */

/* A worker cannot do its init: fail all work, now and later.  'why' (error
   value, traceback) is taken.  'told': somebody asked for this or hears of it, so
   nobody need look at the errors of the work.  False: the pool was broken
   before. */
bool conc_pool_break(conc_pool *p, conc_msg *why, bool told);
bool conc_pool_told(const conc_pool *p);
/* The 'why' of a broken pool, or NULL. */
conc_msg *conc_pool_why(conc_pool *p);

/* Tell every worker to leave at once, whatever it does: conf's 'interrupt' is
   called for each, and asks conc_pool_hurried. */
typedef enum { CONC_LEISURE, CONC_HURRY, CONC_HASTE } conc_pool_pace;
void conc_pool_hurry(conc_pool *p, conc_pool_pace pace);
conc_pool_pace conc_pool_hurried(const conc_pool *p);

/* No more submits; with 'cancel' also cancel what has not started. */
void conc_pool_shutdown(conc_pool *p, bool cancel);

/* Wait until every worker has ended, or was lost by a fork. */
apr_status_t conc_pool_join(conc_pool *p, conc_parker *self,
                            conc_time deadline);

/* ---- Seeing ---- */

enum { CONC_SLOWEST = 10, CONC_SLOW_NAME = 71 };

typedef struct conc_slow {
  int64_t ns;
  char name[CONC_SLOW_NAME + 1];
} conc_slow;

typedef struct conc_pool_stats {
  size_t queued, running, workers;
  uint64_t ended[3]; /* CANCELLED, FINISHED, FAILED */
  size_t nslow;
  conc_slow slow[CONC_SLOWEST]; /* the slowest first */
} conc_pool_stats;

typedef struct conc_worker_stats {
  char name[64];
  uint64_t tasks;
  int64_t startup, waited, worked; /* ns */
  uint32_t running;
} conc_worker_stats;

/* Also up to 'room' workers that are there now; returns how many there are. */
size_t conc_pool_look(conc_pool *p, conc_pool_stats *stats,
                      conc_worker_stats *workers, size_t room);

#endif
