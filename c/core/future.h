#ifndef CONC_FUTURE_H
#define CONC_FUTURE_H

/*
 * A future: a word, a message, and whoever waits on the word.  It goes from
 * PENDING to RUNNING to FINISHED, FAILED or CANCELLED, or from PENDING to
 * CANCELLED at once; the last three are final.  The message is the task while
 * it is pending and what came of it once the state is final.
 *
 * Who ends it is one thread: the one that started it, or the one that claimed
 * it.  Everybody else can ask for its end (conc_future_ask).
 */

#include <apr_errno.h>
#include <stdbool.h>

#include "base/msg.h"
#include "wait/parker.h"

typedef enum {
  CONC_FUTURE_PENDING,
  CONC_FUTURE_RUNNING,
  CONC_FUTURE_CANCELLED,
  CONC_FUTURE_FINISHED,
  CONC_FUTURE_FAILED
} conc_future_state;

/* What can be asked of one that runs: to stop, as its time is over, or to begin
   nothing more. */
typedef enum {
  CONC_ASK_CANCEL = 0x400,
  CONC_ASK_LATE = 0x800,
  CONC_ASK_LEAVE = 0x4000
} conc_ask;

typedef struct conc_future conc_future;
typedef struct conc_row conc_row;

/*
 * Something to do when a future is done, in the list of that future.  'run' is
 * called once, in the order of linking, by whoever ends it, without any lock;
 * it must not block, and the link may be gone when it returns.
 */
typedef struct conc_link {
  void (*run)(struct conc_link *l);
  struct conc_link *prev, *next; /* [s] */
  bool linked;                   /* [s] */
} conc_link;

/* Who runs a future, for those who want it to stop. */
typedef struct conc_runner {
  /* Somebody asked; may be called from any thread, and more than once. */
  void (*interrupt)(struct conc_runner *r);
} conc_runner;

/*
 * [a] atomic   [c] constant after new   [s] under the shelf's lock
 * [o] of who made it, runs it or cancelled it; constant once final
 */
struct conc_future {
  conc_obj obj;
  conc_word word;    /* [a] the state and some bits, see future.c */
  uint8_t place;     /* [c] in its row, from 1; 0: it is alone */
  uint8_t kind;      /* [o] what the task is, to the layer above */
  bool quiet;        /* [o] nobody need look at its error */
  bool bounded;      /* [c] its home counts what is pending */
  conc_msg msg;      /* [o] the task; values; error value and traceback */
  conc_link *links;  /* [s] a ring; the first */
  conc_future *next; /* of the list of tasks it is in */
  _Atomic(struct conc_home *) home; /* [s], read by anybody: where it was
                                       submitted; NULL: nowhere, or that
                                       has been told */
  _Atomic(conc_runner *) runner;    /* [a] while it runs */
};

_Static_assert(sizeof(conc_future) <= 2 * CONC_LINE, "two cache lines");

/* Where a future was submitted.  Told when it was cancelled, and if it is
   bounded also when it was started; called under a lock: it must not block. */
typedef struct conc_home {
  void (*left)(struct conc_home *h, bool cancelled);
} conc_home;

extern const conc_class conc_future_class;

apr_status_t conc_future_new(conc_future **out);

/*
 * Who makes many futures makes them in rows: one block of memory, and one
 * owner for all.  The row holds a reference of each future that it gave out
 * until conc_row_drop; the memory stays until the last of them is gone.
 */
extern const conc_class conc_row_class;
apr_status_t conc_row_new(conc_row **out);
/* The next future, a reference of the row; NULL: all are given out. */
conc_future *conc_row_next(conc_row *r);
void conc_row_drop(conc_row *r);

conc_future_state conc_future_is(const conc_future *f);
static inline bool conc_future_done(const conc_future *f) {
  return conc_future_is(f) >= CONC_FUTURE_CANCELLED;
}

/*
 * PENDING to RUNNING; false: it is not pending.  The runner, if any, is told
 * when somebody asks, until the future is finished.
 */
bool conc_future_start(conc_future *f, conc_runner *r);

/*
 * RUNNING to PENDING again, by who started it and has not begun the task, which
 * is still in it.  False: somebody has asked meanwhile, so it is to be ended.
 */
bool conc_future_unstart(conc_future *f);

/* Become the one who ends it, pending or running; false: it is done, somebody
   else has claimed it, or it has a runner. */
bool conc_future_claim(conc_future *f);

/*
 * The end, by who started or claimed it: FINISHED, FAILED or CANCELLED, with
 * *result, which is taken.  The runner is not called any more.  Returns what
 * it was asked meanwhile.
 */
unsigned conc_future_finish(conc_future *f, conc_future_state end,
                            conc_msg *result);

/* PENDING to CANCELLED, freeing the task; true also when it was cancelled
   before. */
bool conc_future_cancel(conc_future *f);

/* Ask who runs it (CONC_ASK_LEAVE does not interrupt); false: nobody does, or
   who does has no runner. */
bool conc_future_ask(conc_future *f, conc_ask what);
/* Cancel it or ask, whichever is possible; false: it is done and was not
   cancelled, or nobody can be asked. */
bool conc_future_stop(conc_future *f, conc_ask what);
/* What it was asked so far: bits of conc_ask. */
unsigned conc_future_asked(const conc_future *f);

/* Somebody has seen its error: it need not be reported. */
void conc_future_look(conc_future *f);

/* What to do with the error (value, traceback) of a future that nobody looked
   at; NULL: nothing. */
typedef void (*conc_forgotten)(conc_msg *why);
extern _Atomic(conc_forgotten) conc_future_forgotten;

/* False: it is done already, and the link is not used. */
bool conc_future_link(conc_future *f, conc_link *l);
/* True: the link is the caller's again; false: run was or will be called. */
bool conc_future_unlink(conc_future *f, conc_link *l);

/* It is out of its home's list, not pending, and its home may go away: that is
   told first, if it has not been. */
void conc_future_leave_home(conc_future *f);

/*
 * For a wait on several: *expected is what to sleep on the word with.  False:
 * it is done.
 */
bool conc_future_prepare(conc_future *f, uint32_t *expected);

/* Wait until it is done.  APR_SUCCESS, APR_TIMEUP, CONC_CANCELLED (the
   waiting thread was), CONC_INTERRUPTED. */
apr_status_t conc_future_wait(conc_future *f, conc_parker *self,
                              conc_time deadline);

#endif
