#include "ipc/txn.h"

#include "ipc/layout.h"
#include "ipc/robust.h"
#include "ipc/step.h"

/*
 * 'ready' is written after the note is complete, and cleared after all its
 * writes are done, each by a store that the processor may not move: so who
 * finds it set finds a complete note, and doing it once more changes nothing,
 * since nobody else can have written these words since.
 */

static void carry_out(conc_txn *t) {
  /* Acquire: pairs with the release in commit. */
  uint64_t n = atomic_load_explicit(&t->ready, memory_order_acquire);
  for (uint64_t i = 0; i < n && i < CONC_TXN_MOST; i++) {
    conc_ref *word = conc_heap_at(t->note[i].at);
    atomic_store_explicit(word, t->note[i].value, memory_order_release);
    conc_step();
  }
  atomic_store_explicit(&t->ready, 0, memory_order_release);
}

/*
 * What the dead one was doing under this lock may have been a step of the
 * heap, which is to be finished before anybody looks at what it was about.
 */
void conc_txn_begin(conc_txn *t) {
  if (!conc_robust_try(&t->lock) &&
      conc_robust_acquire(&t->lock, NULL, CONC_FOREVER) == CONC_ABANDONED) {
    carry_out(t);
    if (!conc_layout_has(t))
      conc_heap_settle();
  }
  t->noted = 0;
}

/* Relaxed: 'ready' publishes the note. */
void conc_txn_write(conc_txn *t, conc_ref *word, uint64_t value) {
  uint32_t i = t->noted++;
  atomic_store_explicit(&t->note[i].at, conc_heap_offset(word),
                        memory_order_relaxed);
  atomic_store_explicit(&t->note[i].value, value, memory_order_relaxed);
  conc_step();
}

void conc_txn_step(conc_txn *t) {
  atomic_store_explicit(&t->ready, t->noted, memory_order_release);
  conc_step();
  carry_out(t);
  t->noted = 0;
  conc_step();
}

void conc_txn_commit(conc_txn *t) {
  conc_txn_step(t);
  (void)conc_robust_release(&t->lock);
}

void conc_txn_abort(conc_txn *t) {
  conc_step();
  (void)conc_robust_release(&t->lock);
}
