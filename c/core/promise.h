#ifndef CONC_PROMISE_H
#define CONC_PROMISE_H

/*
 * The other end of a future, for those who resolve by hand.  When the last
 * promise goes without a result the future fails, with an empty message.
 */

#include "core/future.h"

typedef struct conc_promise {
  conc_obj obj;
  conc_future *future; /* [c] a reference */
} conc_promise;

extern const conc_class conc_promise_class;

/* Of a pending future without a task. */
apr_status_t conc_promise_new(conc_promise **out, conc_future *f);

#endif
