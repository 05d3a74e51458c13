#ifndef CONC_BROOD_H
#define CONC_BROOD_H

/* What process.c, brood.c and forks.c share; nobody else includes it. */

#include "ipc/process.h"

/*
 * [l] lock, a leaf but for the lot   [a] atomic
 */
struct conc_brood {
  conc_obj obj;
  conc_word lock;
  bool closed;                /* [l] nothing starts any more */
  conc_process *first, *last; /* [l] STARTING and STARTED, each a reference */
  conc_word ends;             /* [a] changes when one is DONE */
  _Atomic uint64_t counter;   /* [a] */
  uint32_t rounds;            /* of whoever closes */
  conc_word forking; /* [a] a latch: whose turn it is to make 'forks' */
  conc_forks *forks; /* [l] a reference, or NULL */
  conc_blob *notes[CONC_NOTES]; /* [l] references, or NULL */
  conc_process *relatives[2];   /* [l] references, or NULL */
  uint64_t pid;                 /* [l] of the process it is in */
};

/* Is in the list from now on, with a reference; CONC_CLOSED. */
apr_status_t conc_brood_add(conc_brood *b, conc_process *p);
void conc_brood_remove(conc_brood *b, conc_process *p);

/* The process has ended so: out of the list, DONE, everybody told. */
void conc_process_finish(conc_process *p, conc_sys_end end);

/* Start 'how' with 'theirs' (which stays the caller's) inherited. */
apr_status_t conc_process_spawn(uint64_t *pid, const conc_process_how *how,
                                conc_handle theirs);

/* Write the bytes and where their shared objects are; a channel whose other
   side is gone is no error. */
apr_status_t conc_process_write(conc_handle channel, const conc_wire *job,
                                uint64_t parcel, conc_parker *self);

#endif
