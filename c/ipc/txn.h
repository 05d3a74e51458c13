#ifndef CONC_TXN_H
#define CONC_TXN_H

/*
 * A lock in shared memory under which several words change in one step, even
 * if the process dies in the middle: a redo log.  Writes are noted first; from
 * the moment the note is complete they happen, done again by whoever takes the
 * lock from the dead.
 *
 *   conc_txn_begin(t);
 *   ... read what the lock guards ...
 *   conc_txn_write(t, &a, x);
 *   conc_txn_write(t, &b, y);
 *   conc_txn_commit(t);
 *
 * The words lie in the heap and are guarded by this lock; they are none of a
 * ledger, which only the calls of heap.h and shared.h change.  Those may be
 * called in between: each is a step of its own, which is finished before
 * anybody else gets this lock.  A second txn is begun only in an order that
 * all agree on.
 *
 * Any object may have one of its own.  All zeros is a txn.
 */

#include "ipc/heap.h"

enum { CONC_TXN_MOST = 14 };

/*
 * Invariant: while nobody holds 'lock', ready == 0.
 *   [l] guarded by 'lock', or by having found its holder dead
 */
typedef struct conc_txn {
  conc_word lock;
  uint32_t noted;         /* [l] writes noted since begin */
  _Atomic uint64_t ready; /* [l] noted writes that are to be done; else 0 */
  struct {
    _Atomic uint64_t at, value;
  } note[CONC_TXN_MOST]; /* [l] */
} conc_txn;

void conc_txn_begin(conc_txn *t);
void conc_txn_write(conc_txn *t, conc_ref *word, uint64_t value);
void conc_txn_commit(conc_txn *t);

/*
 * Do what was noted, and go on under the lock: for work of several steps, each
 * of which leaves something that the next to come can go on from.
 */
void conc_txn_step(conc_txn *t);

/* End it without doing what was noted since the last step. */
void conc_txn_abort(conc_txn *t);

#endif
