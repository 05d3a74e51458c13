#include "wait/mutex.h"

#include "wait/spin.h"

/*
 * The holder is a few instructions from the end, so look at the word for a
 * while; it must have lost its processor if that fails, so sleep.  Whoever
 * slept takes the lock as 2, since others may still sleep behind it.
 */
void conc_mutex_contended(conc_word *w) {
  uint32_t v;
  for (unsigned i = conc_spin_useful() ? 64 : 0; i > 0; i--) {
    v = 0;
    if (atomic_load_explicit(w, memory_order_relaxed) == 0 &&
        atomic_compare_exchange_weak_explicit(w, &v, 1, memory_order_acquire,
                                              memory_order_relaxed))
      return;
    conc_sys_pause();
  }
  while (atomic_exchange_explicit(w, 2, memory_order_acquire) != 0)
    conc_sys_wait(w, 2, -1);
}
