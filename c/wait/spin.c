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

/*
 * Look until 'limit' ns have passed, or until there were more looking threads
 * than processors to spare twice in a row: once is often somebody who has just
 * seen what it looked for.
 */
static bool look(uint32_t limit, bool (*ready)(const void *), const void *arg) {
  enum { PER_CLOCK = 16, MOST_PAUSES = 8 };
  int64_t until = 0;
  int crowded = 0, pauses = 1;
  for (;;) {
    for (int i = 0; i < PER_CLOCK; i++) {
      if (ready(arg))
        return true;
      for (int k = 0; k < pauses; k++)
        conc_sys_pause();
      pauses = pauses < MOST_PAUSES ? pauses * 2 : MOST_PAUSES;
    }
    int64_t now = conc_sys_now();
    if (until == 0)
      until = now + limit;
    bool many = atomic_load_explicit(&looking, memory_order_relaxed) >= cpus();
    crowded = many ? crowded + 1 : 0;
    if (now >= until || crowded == 2)
      return false;
  }
}

bool conc_spin(conc_parker *self, bool (*ready)(const void *),
               const void *arg) {
  if (!conc_spin_useful())
    return false;
  /* Relaxed: the counter guards nothing, it only keeps a proportion. */
  atomic_fetch_add_explicit(&looking, 1, memory_order_relaxed);
  bool probe = ++self->spins % CONC_SPIN_PROBE == 0;
  bool seen = look(probe ? CONC_SPIN_MOST : self->spin, ready, arg);
  atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);
  uint32_t more = self->spin * 2, less = self->spin / 4;
  if (seen)
    self->spin = more < CONC_SPIN_MOST ? more : CONC_SPIN_MOST;
  else
    self->spin = less > CONC_SPIN_LEAST ? less : CONC_SPIN_LEAST;
  return seen;
}
