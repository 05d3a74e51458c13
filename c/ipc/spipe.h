#ifndef CONC_SPIPE_H
#define CONC_SPIPE_H

/*
 * Pipes in shared memory: two ends, and a ring (ring.h) from each to the other.
 * An end is an object of its own, which any process may hold; when the last
 * one lets go of it, or dies with it, the other end learns that nothing more
 * will come, and that nobody hears what it sends.
 */

#include "ipc/ring.h"
#include "ipc/shared.h"

/* An end; the rest of it is in the pipe, which it holds. */
typedef struct conc_spipe_end {
  conc_proxy proxy;
  conc_ring *in, *out; /* [c]; NULL: it does not receive, or send */
  conc_word deaf;      /* [a] it receives no more in this process */
} conc_spipe_end;

/* What it receives from, or NULL. */
static inline conc_ring *conc_spipe_in(conc_spipe_end *e) {
  return atomic_load(&e->deaf) != 0 ? NULL : e->in;
}

extern const conc_shared_class conc_spipe_class, conc_spipe_end_class;

/* Two ends; not duplex: the first receives, the second sends. */
apr_status_t conc_spipe_new(conc_spipe_end *out[2], bool duplex);

/*
 * Wait until there is a message, or there will not be one any more, until
 * 'deadline'.  APR_SUCCESS, APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_spipe_poll(conc_spipe_end *e, conc_parker *self,
                             conc_time deadline);

#endif
