#ifndef CONC_SELECT_H
#define CONC_SELECT_H

/*
 * Waiting for the first of several things.  A case is one thing that can be
 * waited for, and what is done when it is there: an item is taken, a lock is
 * acquired.  Exactly one case is taken; of the others nothing is, and whoever
 * waits for the same things does not notice.
 *
 * Each kind of thing has a class of cases, which is all that select knows of
 * it; other layers may bring their own.
 */

#include <apr_errno.h>

#include "core/latch.h"
#include "core/queue.h"
#include "wait/lot.h"

typedef struct conc_case conc_case;

/*
 * None of these blocks.  'taken' means APR_SUCCESS, or CONC_CLOSED where that
 * is what there is to learn; any other status but APR_EAGAIN ends the select
 * with it (APR_ENOMEM, CONC_MISUSE), and nothing was taken.
 */
typedef struct conc_case_class {
  /* Would take succeed?  A hint, cheap enough to be asked in a loop. */
  bool (*ready)(const conc_case *c);
  /* Taken, or APR_EAGAIN: it is not there. */
  apr_status_t (*take)(conc_case *c, conc_parker *self);
  /*
   * Fill in *w and make sure that whoever makes the case ready from now on
   * changes that word and wakes one, then try once more: APR_EAGAIN: sleep on
   * it, and leave will follow; otherwise as take, and nothing is left to undo.
   */
  apr_status_t (*enter)(conc_case *c, conc_waiter *w, conc_parker *self);
  /* Undo enter; 'chosen' says that a wake of the word was spent on it. */
  void (*leave)(conc_case *c);
  /* It was chosen, and the select ends otherwise: hand the wake on. */
  void (*decline)(conc_case *c);
} conc_case_class;

/*
 * A case is made by one of the functions below (or by others for classes of
 * their own) and may be used for one select, or for several one after another
 * until it was taken.
 */
struct conc_case {
  const conc_case_class *cls;
  conc_obj *obj;            /* the caller keeps it alive */
  conc_time due;            /* a timer's moment; CONC_FOREVER: it has none */
  conc_msg msg;             /* what was taken, or is to be put; the caller's */
  conc_priority prio;       /* of it, in a PriorityQueue; the caller's */
  bool chosen;              /* see leave */
  bool hot;                 /* select's own: it was ready a moment ago */
  bool abroad;              /* others than the family may make it ready */
  conc_word never;          /* for those that nobody wakes */
  uint32_t seen;            /* of an event */
  conc_latch_effort effort; /* of a lock */
  void *data;               /* of other classes */
  void *entered;            /* of other classes, from enter to leave */
};

void conc_case_timer(conc_case *c, conc_time due);
void conc_case_pop(conc_case *c, conc_queue *q);
/* 'msg' and 'prio' (zeros but for a PriorityQueue) are set by the caller. */
void conc_case_push(conc_case *c, conc_queue *q);
/*
 * Of a Future, Event, Semaphore, BoundedSemaphore, Lock, RLock, or of a Thread
 * that was started; false: of none of them.
 */
bool conc_case_of(conc_case *c, conc_obj *o, conc_parker *self);

/*
 * There may be a task to run: for the workers of the pool, which look then.  It
 * takes nothing, so whoever is told and does not look tells the next one.
 */
struct conc_pool;
void conc_case_tasks(conc_case *c, struct conc_pool *p);

typedef struct conc_selection {
  conc_case *cases;
  conc_waiter *waiters; /* room for as many */
  size_t n;             /* 0: wait for the deadline alone */
  size_t which;         /* out */
} conc_selection;

/*
 * Take one of the cases, waiting until 'deadline'; of several that are ready
 * one at random.  APR_SUCCESS, CONC_CLOSED or an error of a class: 'which' is
 * the case.  APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED: none was taken.
 */
apr_status_t conc_select(conc_selection *s, conc_parker *self,
                         conc_time deadline);

#endif
