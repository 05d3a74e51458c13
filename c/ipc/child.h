#ifndef CONC_CHILD_H
#define CONC_CHILD_H

/* A child process's side of what ipc/process.h is to its parent. */

#include <apr_errno.h>

#include "ipc/wire.h"
#include "sys/process.h"

/* Through the channel, before the bytes of a job: how many they are, and where
   the shared objects are (a parcel; 0: there are none). */
typedef struct conc_job_head {
  uint64_t size, parcel;
} conc_job_head;

/* Say to the parent who probes that all is well. */
void conc_child_hello(conc_handle channel);

/* Wait for the end of the parent, and if it did not announce that, remove the
   names that it has left. */
void conc_child_sweep(conc_handle channel, uint64_t parent);

/* What comes through the channel next; APR_EOF: no parent. */
apr_status_t conc_child_job(conc_handle channel, conc_wire *job);

/* Join the parent's heap, by the handle that it said. */
apr_status_t conc_child_share(conc_handle heap);

/* From now on this process ends when 'parent' is gone, whose channel it is. */
apr_status_t conc_child_bind(conc_handle channel, uint64_t parent);

#endif
