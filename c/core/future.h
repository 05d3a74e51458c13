#ifndef CONC_FUTURE_H
#define CONC_FUTURE_H

/*
 * A future: a word, a result, and whoever waits on the word.  It goes from
 * PENDING to RUNNING to FINISHED or FAILED, or from PENDING to CANCELLED; the
 * last three are final, and the result is only read then.
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

typedef struct conc_future conc_future;
typedef struct conc_row conc_row;

/* [a] atomic   [c] constant after new   [o] of who runs it, then constant once the state is final */
struct conc_future {
  conc_obj obj;
  conc_word word;  /* [a] the state; WAITED when somebody sleeps on it */
  bool chunk;      /* [c] of a map: the task is a function and many items */
  conc_row *row;   /* [c] it lives in; a reference, or NULL */
  conc_msg result; /* [o] values; of a failure: error value, traceback */
};

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

/* PENDING to RUNNING; false: it was cancelled (or is not pending). */
bool conc_future_start(conc_future *f);

/* RUNNING to FINISHED or FAILED with *result, which is taken. */
void conc_future_finish(conc_future *f, conc_future_state end,
                        conc_msg *result);

/* PENDING to CANCELLED; true also when it was cancelled before. */
bool conc_future_cancel(conc_future *f);

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
