#ifndef CONC_LATEST_H
#define CONC_LATEST_H

/*
 * A copy of the message that was put last, if it is small and refers to nothing.
 * It lies on the line of memory at which consumers look until something comes, so
 * they have the message when they see that there is one, and need not fetch the
 * line of its slot from the other processor.
 *
 * The copy says which message it is.  A newer one may be written over it while it
 * is read: 'mark' is cleared before and set after; each word is stored with
 * release and loaded with acquire, so who has read a word of the newer one finds
 * another mark at the end.  spec/models/latest.pml is this in Promela.
 */

#include <stdatomic.h>
#include <string.h>

#include "base/msg.h"

typedef struct conc_latest {
  _Atomic uint64_t mark; /* [a] which message, from 1, and its size; 0: none */
  _Atomic uint64_t words[CONC_MSG_INLINE / 8]; /* [a] */
} conc_latest;

enum { CONC_LATEST_SIZE_BITS = 8 };

/* The n-th message is *msg.  One thread at a time. */
static inline void conc_latest_write(conc_latest *l, uint64_t nth,
                                     const conc_msg *msg) {
  if (msg->heap || msg->nrefs != 0)
    return;
  atomic_store_explicit(&l->mark, 0, memory_order_relaxed);
  for (size_t at = 0; at < msg->size; at += 8) {
    uint64_t word;
    memcpy(&word, msg->u.bytes + at, 8);
    atomic_store_explicit(&l->words[at / 8], word, memory_order_release);
  }
  atomic_store_explicit(&l->mark, nth << CONC_LATEST_SIZE_BITS | msg->size,
                        memory_order_release);
}

/* False: the n-th message is not here, or was written over; *msg is nothing. */
static inline bool conc_latest_read(const conc_latest *l, uint64_t nth,
                                    conc_msg *msg) {
  uint64_t mark = atomic_load_explicit(&l->mark, memory_order_acquire);
  if (mark >> CONC_LATEST_SIZE_BITS != nth)
    return false;
  *msg = (conc_msg){.size = mark & ((1 << CONC_LATEST_SIZE_BITS) - 1)};
  for (size_t at = 0; at < msg->size; at += 8) {
    uint64_t word =
      atomic_load_explicit(&l->words[at / 8], memory_order_acquire);
    memcpy(msg->u.bytes + at, &word, 8);
  }
  return atomic_load_explicit(&l->mark, memory_order_relaxed) == mark;
}

#endif
