/*
 * Waiting without the kernel, as long as that is worth it.
 */
#ifndef CONC_BENCH_SPIN_H
#define CONC_BENCH_SPIN_H

#include <pthread.h>
#include <sched.h>

enum { SPIN_LIMIT = 500, SPIN_STEPS = 8, SPIN_LINE = 64 };

static inline void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/*
 * The next step of a wait: ever more pauses, so that the other side can work
 * ahead with the shared lines in its own cache; in the end a yield, since it
 * may need this very processor.
 */
static inline void spin_step(int *steps) {
  if (*steps == SPIN_STEPS) {
    sched_yield();
    return;
  }
  for (int i = 0; i < 1 << *steps; i++)
    spin_pause();
  ++*steps;
}

static inline void spin_lock(pthread_mutex_t *m) {
  for (int steps = 0; steps < SPIN_STEPS; spin_step(&steps))
    if (pthread_mutex_trylock(m) == 0)
      return;
  pthread_mutex_lock(m);
}

#endif
