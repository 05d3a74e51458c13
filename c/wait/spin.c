#include "wait/spin.h"

static conc_word processors; /* 0: not asked yet */
static conc_word looking;

static unsigned cpus(void) {
  unsigned n = atomic_load_explicit(&processors, memory_order_relaxed);
  if (n == 0) {
    n = conc_sys_cpus();
    atomic_store_explicit(&processors, n, memory_order_relaxed);
  }
  return n;
}

bool conc_spin_useful(void) { return cpus() > 1; }

static bool look(uint32_t limit, bool (*ready)(const void *), const void *arg) {
  enum { PER_CLOCK = 16 };
  int64_t until = 0;
  for (;;) {
    for (int i = 0; i < PER_CLOCK; i++) {
      if (ready(arg))
        return true;
      conc_sys_pause();
    }
    int64_t now = conc_sys_now();
    if (until == 0)
      until = now + limit;
    else if (now >= until)
      return false;
  }
}

bool conc_spin(conc_parker *self, bool (*ready)(const void *),
               const void *arg) {
  if (!conc_spin_useful())
    return false;
  /*
   * Two threads that hand something to and fro both look for a moment, each
   * time: the second may, or it sleeps for want of a few nanoseconds.
   * Relaxed: the counter guards nothing, it only keeps a proportion.
   */
  if (atomic_fetch_add_explicit(&looking, 1, memory_order_relaxed) >= cpus()) {
    atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);
    return false;
  }
  bool probe = ++self->spins % CONC_SPIN_PROBE == 0;
  bool seen = look(probe ? CONC_SPIN_MOST : self->spin, ready, arg);
  atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);
  if (seen)
    self->spin = self->spin < CONC_SPIN_MOST / 2 ? self->spin * 2 : CONC_SPIN_MOST;
  else
    self->spin = self->spin > CONC_SPIN_LEAST * 4 ? self->spin / 4 : CONC_SPIN_LEAST;
  return seen;
}
