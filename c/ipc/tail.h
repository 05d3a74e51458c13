#ifndef CONC_TAIL_H
#define CONC_TAIL_H

/*
 * What a child writes to its standard error goes on to ours, and the end of it
 * is kept, for whoever wants to know what it died of.
 */

#include <apr_errno.h>

#include "base/object.h"
#include "sys/process.h"

enum { CONC_TAIL_BYTES = 4096 };

/*
 * [c] constant   [l] under 'lock'   [w] of the watcher
 */
typedef struct conc_tail {
  conc_obj obj;
  conc_sys_watch watch; /* [w] holds a reference while it goes on */
  conc_word lock;
  conc_handle handle;          /* [l] CONC_NO_HANDLE: at its end */
  uint64_t total;              /* [l] bytes ever */
  char bytes[CONC_TAIL_BYTES]; /* [l] the n-th byte is at n modulo the size */
} conc_tail;

/* *theirs is for the child. */
apr_status_t conc_tail_new(conc_tail **out, conc_handle *theirs);

/* Take in what is there already. */
void conc_tail_drain(conc_tail *t);

/* Copy what is kept, at most CONC_TAIL_BYTES; returns how many. */
size_t conc_tail_read(conc_tail *t, char *out);

#endif
