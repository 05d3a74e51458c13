#ifndef CONC_STEP_H
#define CONC_STEP_H

/*
 * For tests of what a death leaves behind: between any two writes to shared
 * memory that belong together stands conc_step(), and the n-th step from now
 * is the last thing this process does, when a test asked for it.
 */

#include "sys/sys.h"

extern conc_word conc_steps;

/* Die at the n-th step from now; 0: never. */
void conc_step_die(uint32_t n);

void conc_step_count(void);

static inline void conc_step(void) {
  /* Relaxed: only a test that runs alone sets it. */
  if (atomic_load_explicit(&conc_steps, memory_order_relaxed) != 0)
    conc_step_count();
}

#endif
