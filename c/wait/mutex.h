#ifndef CONC_MUTEX_H
#define CONC_MUTEX_H

/*
 * The lock inside conc's own objects: held for a few instructions, never
 * across Lua, a callback, a release or a wait.  Users' locks are another
 * thing (core/lock.h): those can be waited for with a deadline and cancelled.
 *
 * The word: 0 free, 1 held, 2 held and somebody may sleep.
 */

#include "sys/sys.h"

void conc_mutex_contended(conc_word *w);

static inline void conc_mutex_lock(conc_word *w) {
  uint32_t zero = 0;
  /* Acquire: pairs with the release in unlock. */
  if (!atomic_compare_exchange_strong_explicit(
        w, &zero, 1, memory_order_acquire, memory_order_relaxed))
    conc_mutex_contended(w);
}

static inline void conc_mutex_unlock(conc_word *w) {
  /* After the exchange the word may be freed: wake only uses its address. */
  if (atomic_exchange_explicit(w, 0, memory_order_release) == 2)
    conc_sys_wake(w, false);
}

#endif
