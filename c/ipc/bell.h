#ifndef CONC_BELL_H
#define CONC_BELL_H

/*
 * Waiting for a gate in shared memory (sgate.h) together with other things: the
 * lot knows only words of this process.  A gate that is watched rings the
 * process's bell when it is notified, which is a word in shared memory; a
 * helper thread sleeps on it, and wakes all who wait for any gate.
 */

#include "ipc/sgate.h"
#include "wait/lot.h"

/*
 * Fill in *w for a wait that ends after the next notify of the gate (or of
 * another).  Ask the predicate after it.  Somebody who dies may ring no bell:
 * look again after CONC_BELL_SLICE.  Or what the system says when it gives no
 * thread.
 */
apr_status_t conc_bell_watch(conc_sgate *g, conc_waiter *w);

enum { CONC_BELL_SLICE = 500000000 }; /* ns */

#endif
