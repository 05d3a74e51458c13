#ifndef CONC_WATCH_H
#define CONC_WATCH_H

/*
 * A watch tells the futures of a set one by one, as they end.  Each costs one
 * link while it is not done, and nothing afterwards.  One thread uses a watch.
 */

#include "core/executor.h"

typedef struct conc_watch conc_watch;

extern const conc_class conc_watch_class;

apr_status_t conc_watch_new(conc_watch **out);

/* Room for n more, so that adding them cannot fail: APR_ENOMEM. */
apr_status_t conc_watch_reserve(conc_watch *w, size_t n);

/* Watch one more, after a reserve, under a number of the caller's. */
void conc_watch_add(conc_watch *w, conc_future *f, size_t number);

/* One that is done and was not told yet, whose reference comes over, and its
   number; NULL: there is none now. */
conc_future *conc_watch_next(conc_watch *w, size_t *number);

/* How many have not been told. */
size_t conc_watch_left(const conc_watch *w);

/* The word that changes whenever one ends: read it, look, sleep on it. */
conc_word *conc_watch_word(conc_watch *w);
/* Is there one to tell? */
bool conc_watch_ready(const conc_watch *w);

/* One that is pending at that worker's executor, started by it; or NULL.  The
   reference is the caller's. */
conc_future *conc_watch_claim(conc_watch *w, conc_worker *worker);

/* Leave all futures alone from now on; idempotent. */
void conc_watch_stop(conc_watch *w);

#endif
