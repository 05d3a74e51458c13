#ifndef CONC_MUTEX_H
#define CONC_MUTEX_H

/*
 * The lock inside conc's own objects: held for a few instructions, never
 * across Lua, a callback, a release or a wait.  Users' locks are another
 * thing (core/lock.h): those can be waited for with a deadline and cancelled.
 *
 * The word: 0 free; else what holds it, 1 or, when somebody may sleep, 2, above
 * the number of this process among those that were forked one from the other.
 * In a process that a host has forked, a lock with an older number is held by a
 * thread that is not there: it is free.  What that thread was about to do with
 * the object stays half done; so what all share must be sound after each store.
 */

#include "sys/sys.h"

enum { CONC_MUTEX_HELD = 1, CONC_MUTEX_AWAITED = 2, CONC_MUTEX_HOW = 3 };

/* This process's number, in steps of CONC_MUTEX_HOW + 1. */
extern uint32_t conc_mutex_process;

/* Called once, before there is a thread that a fork could leave behind. */
void conc_mutex_mind_forks(void);

void conc_mutex_contended(conc_word *w);

static inline void conc_mutex_lock(conc_word *w) {
  uint32_t zero = 0;
  /* Acquire: pairs with the release in unlock. */
  if (!atomic_compare_exchange_strong_explicit(
        w, &zero, conc_mutex_process | CONC_MUTEX_HELD, memory_order_acquire,
        memory_order_relaxed))
    conc_mutex_contended(w);
}

static inline void conc_mutex_unlock(conc_word *w) {
  /* After the exchange the word may be freed: wake only uses its address. */
  uint32_t was = atomic_exchange_explicit(w, 0, memory_order_release);
  if ((was & CONC_MUTEX_HOW) == CONC_MUTEX_AWAITED)
    conc_sys_wake(w, false);
}

#endif
