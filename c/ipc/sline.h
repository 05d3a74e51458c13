#ifndef CONC_SLINE_H
#define CONC_SLINE_H

/*
 * The line of core/line.h in shared memory: threads of several processes stand
 * in line, each waiting to be told something of its own.  An object that has a
 * line begins with it.
 *
 * A turn is a block that the ledger of the waiting thread's process holds, and
 * it holds the object.  Who dies in line is taken out of it when he is buried,
 * and the object's class hears of it (conc_sturn_lost).
 */

#include <apr_errno.h>

#include "ipc/shared.h"
#include "ipc/txn.h"
#include "wait/parker.h"

/* [l] under 'txn', which also guards the rest of the object */
typedef struct conc_sline {
  conc_txn txn;
  conc_ref first, last; /* [l] offsets of turns */
} conc_sline;

/* [c] constant once it is made   [l] under the line's txn   [a] atomic */
typedef struct conc_sturn {
  conc_ref owner;      /* [c] a place: the object that begins with the line */
  conc_ref prev, next; /* [l] while inside */
  conc_ref inside;     /* [l] 1: stands in the line */
  conc_ref note;       /* [l] for the owner's class */
  conc_ref told;       /* [a] 0: nothing yet; written as [l] */
  conc_word sleep;     /* [a] see sline.c */
  uint32_t member;     /* [c] whose it is */
} conc_sturn;

extern const conc_shared_class conc_sturn_class;

/* A turn for a line of 'owner', in a place of the ledger.  CONC_EXHAUSTED. */
apr_status_t conc_sturn_new(conc_ref **place, const conc_proxy *owner);

/* Out of the line, or still in it: as if it had died. */
void conc_sturn_free(conc_ref *place);

static inline conc_sturn *conc_sturn_at(const conc_ref *place) {
  return conc_heap_at(atomic_load(place));
}

/* Under the line's txn: note what is to be written for it to join or leave. */
void conc_sline_join(conc_sline *line, conc_sturn *t);
void conc_sline_leave(conc_sline *line, conc_sturn *t);

/* Under the line's txn: take t out and tell it, as one step; wake it. */
void conc_sline_tell(conc_sline *line, conc_sturn *t, uint64_t what);

/* The oldest; NULL: nobody. */
static inline conc_sturn *conc_sline_first(const conc_sline *line) {
  uint64_t at = atomic_load(&line->first);
  return at == 0 ? NULL : conc_heap_at(at);
}

/* APR_SUCCESS: told.  APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED. */
apr_status_t conc_sturn_wait(conc_sturn *t, conc_parker *self,
                             conc_time deadline);

static inline uint64_t conc_sturn_told(const conc_sturn *t) {
  return atomic_load(&t->told);
}

#endif
