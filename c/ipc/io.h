#ifndef CONC_IO_H
#define CONC_IO_H

/*
 * Waiting for a channel or a socket, as for anything else: the thread parks in
 * the lot, and the watcher (sys/process.h) wakes it.
 */

#include <apr_errno.h>

#include "sys/process.h"
#include "wait/parker.h"

/*
 * Wait until the handle is readable or writable (events), at its end or in
 * error.  APR_SUCCESS; APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED; or what
 * the system says when it cannot watch.
 */
apr_status_t conc_io_wait(conc_handle h, unsigned events, conc_parker *self,
                          conc_time deadline);

#endif
