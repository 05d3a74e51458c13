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

/* [a] atomic   [o] of who runs it, then constant once the state is final */
typedef struct conc_future {
  conc_obj obj;
  conc_word word;  /* [a] the state; WAITED when somebody sleeps on it */
  bool chunk;      /* [c] of a map: the task is a function and many items */
  conc_msg result; /* [o] values; of a failure: error value, traceback */
} conc_future;

extern const conc_class conc_future_class;

apr_status_t conc_future_new(conc_future **out);

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
