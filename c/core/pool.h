#ifndef CONC_POOL_H
#define CONC_POOL_H

/*
 * What the files of the pool share: executor.c (life, submitting, the end),
 * pool_workers.c (hiring, taking tasks, leaving) and pool_stats.c.
 */

#include "core/executor.h"
#include "wait/mutex.h"

/*
 * A task is queued until a worker takes it and starts it.  One that was
 * cancelled, or claimed from the middle by a worker that waits for it, stays
 * in the list as a husk; 'husks' counts those.
 *
 * Enough workers: after a task was added, the adder looks whether more tasks
 * were added than have ended and there may be one worker more.  A worker that
 * retires takes itself out of the count while nothing can be added, and only
 * if the list is empty; so whoever adds later does not count on it.
 *
 *   [c] constant after new   [l] lock, a leaf   [a] atomic
 */
struct conc_pool {
  conc_obj obj;
  conc_home home;
  conc_closer closer;  /* of the root, while it is open */
  conc_root *root;     /* [c] a reference */
  conc_pool_conf conf; /* [c] */
  conc_tasks tasks;
  conc_gate gate;    /* opens when there is a task, or never again one */
  conc_gate room;    /* opens when something pending has left */
  conc_word pending; /* [a] with max_pending: reserved or queued */
  conc_word closed;  /* [a] 1: no task is added any more */
  conc_word husks;   /* [a] */
  _Atomic uint64_t cancelled; /* [a] tasks, before they had started */
  conc_word stuck;            /* [a] see conc_pool_stick */
  conc_word workers;          /* [a] that take tasks, or are about to */
  conc_word disabled;         /* [a] of those, who cannot run any */
  conc_word alive;  /* [a] whose threads have not ended; joiners wait */
  conc_word broken; /* [a] 1: 'why' is there */
  conc_word pace;   /* [a] a conc_pool_pace, which only rises */
  conc_msg why;     /* [c] once broken */
  bool told;        /* [c] once broken: nobody need look at errors of it */
  conc_word lock;
  size_t started;               /* [l] workers ever started, for names */
  conc_worker *first;           /* [l] the living */
  uint64_t past[3];             /* [l] what those that are gone have ended */
  uint64_t elsewhere[3];        /* [l] what others than workers have ended */
  _Atomic int64_t slowest;      /* [a] how slow is worth a look */
  size_t nslow;                 /* [l] */
  conc_slow slow[CONC_SLOWEST]; /* [l] in order */
};

/* Where tasks that ended so are counted. */
static inline size_t conc_pool_index(conc_future_state how) {
  return (size_t)how - CONC_FUTURE_CANCELLED;
}

/* Taken from the list, and not to be started: a husk. */
void conc_pool_skip(conc_pool *p, conc_future *f);

/*
 * More tasks, queued and running, than workers: hire.  So idle ones are used
 * before new ones are made, and a task that waits for a new one gets it done
 * by another worker.
 */
apr_status_t conc_pool_hire(conc_pool *p);

#endif
