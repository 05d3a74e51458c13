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

/* So many looks, with so many pauses after each. */
static bool glance(bool (*ready)(const void *), const void *arg, int looks,
                   int pauses) {
  for (; looks > 0; looks--) {
    if (ready(arg))
      return true;
    for (int k = 0; k < pauses; k++)
      conc_sys_pause();
  }
  return false;
}

/*
 * Look until 'limit' ns have passed, or until there were more looking threads
 * than processors to spare twice in a row: once is often somebody who has just
 * seen what it looked for.
 */
static bool look(uint32_t limit, bool (*ready)(const void *), const void *arg) {
  enum { LOOKS = 16, PAUSES = 8 };
  int64_t until = conc_sys_now() + limit;
  int crowded = 0;
  while (!glance(ready, arg, LOOKS, PAUSES)) {
    bool many = atomic_load_explicit(&looking, memory_order_relaxed) >= cpus();
    crowded = many ? crowded + 1 : 0;
    if (conc_sys_now() >= until || crowded == 2)
      return false;
  }
  return true;
}

/* Look, and be counted among those who do.  Relaxed: the counter guards
   nothing, it only keeps a proportion. */
static bool look_counted(uint32_t limit, bool (*ready)(const void *),
                         const void *arg) {
  atomic_fetch_add_explicit(&looking, 1, memory_order_relaxed);
  bool seen = look(limit, ready, arg);
  atomic_fetch_sub_explicit(&looking, 1, memory_order_relaxed);
  return seen;
}

/*
 * The first two or three microseconds are for threads that answer each other:
 * looks come close together, and are not counted, or the counter's line would go
 * back and forth between the two as well.
 */
bool conc_spin(conc_parker *self, bool (*ready)(const void *),
               const void *arg) {
  enum { LOOKS = 64, PAUSES = 2 };
  if (!conc_spin_useful())
    return false;
  bool probe = ++self->spins % CONC_SPIN_PROBE == 0;
  uint32_t limit = probe ? CONC_SPIN_MOST : self->spin;
  bool seen =
    glance(ready, arg, LOOKS, PAUSES) || look_counted(limit, ready, arg);
  uint32_t more = self->spin * 2, less = self->spin / 4;
  if (seen)
    self->spin = more < CONC_SPIN_MOST ? more : CONC_SPIN_MOST;
  else
    self->spin = less > CONC_SPIN_LEAST ? less : CONC_SPIN_LEAST;
  return seen;
}
