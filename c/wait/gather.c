#include "wait/gather.h"

#include "wait/spin.h"

static void stay_away(uint32_t ns) {
  enum { PER_CLOCK = 4 };
  int64_t until = conc_sys_now() + ns;
  do
    for (int i = 0; i < PER_CLOCK; i++)
      conc_sys_pause();
  while (conc_sys_now() < until);
}

/* Relaxed throughout: a lost update is a moment of another length. */

static uint32_t moment(conc_gather *g) {
  uint32_t ns = atomic_load_explicit(&g->ns, memory_order_relaxed);
  if (ns != 0)
    return ns;
  uint32_t waits = atomic_load_explicit(&g->waits, memory_order_relaxed) + 1;
  atomic_store_explicit(&g->waits, waits, memory_order_relaxed);
  return waits % CONC_GATHER_PROBE == 0 ? CONC_GATHER_LEAST : 0;
}

void conc_gather_some(conc_gather *g, size_t (*count)(const void *),
                      const void *arg) {
  if (!conc_spin_useful() || count(arg) != 1)
    return;
  uint32_t ns = moment(g);
  if (ns == 0)
    return;
  stay_away(ns);
  size_t n = count(arg);
  if (n <= 1)
    ns = ns / 4 < CONC_GATHER_LEAST ? 0 : ns / 4;
  else if (n < CONC_GATHER_ENOUGH && ns < CONC_GATHER_MOST)
    ns *= 2;
  atomic_store_explicit(&g->ns, ns, memory_order_relaxed);
}
