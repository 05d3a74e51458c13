#include "wait/mutex.h"

#include "wait/spin.h"

/* Written only in a process that was just forked, by its only thread. */
uint32_t conc_mutex_process;

static void forked(void) { conc_mutex_process += CONC_MUTEX_HOW + 1; }

void conc_mutex_mind_forks(void) { conc_sys_at_fork(forked); }

/* Free, or held by a thread of the process that this one was forked from. */
static bool is_free(uint32_t v) {
  return v == 0 || (v & ~(uint32_t)CONC_MUTEX_HOW) != conc_mutex_process;
}

/*
 * The holder is a few instructions from the end, so look at the word for a
 * while; it must have lost its processor if that fails, so sleep.  Whoever
 * slept takes the lock as awaited, since others may still sleep behind it.
 */
void conc_mutex_contended(conc_word *w) {
  uint32_t held = conc_mutex_process | CONC_MUTEX_HELD;
  uint32_t awaited = conc_mutex_process | CONC_MUTEX_AWAITED;
  for (unsigned i = conc_spin_useful() ? 64 : 0; i > 0; i--) {
    uint32_t v = atomic_load_explicit(w, memory_order_relaxed);
    if (is_free(v) &&
        atomic_compare_exchange_weak_explicit(w, &v, held, memory_order_acquire,
                                              memory_order_relaxed))
      return;
    conc_sys_pause();
  }
  while (!is_free(atomic_exchange_explicit(w, awaited, memory_order_acquire)))
    conc_sys_wait(w, awaited, -1);
}
