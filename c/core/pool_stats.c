/* What a pool and its workers have done so far. */

#include "core/pool.h"

#include <stdio.h>
#include <string.h>

void conc_pool_ran(conc_pool *p, conc_future_state how) {
  conc_mutex_lock(&p->lock);
  p->elsewhere[conc_pool_index(how)]++;
  conc_mutex_unlock(&p->lock);
}

bool conc_pool_is_slow(const conc_pool *p, int64_t ns) {
  /* Relaxed: a hint, asked after every task. */
  return ns > atomic_load_explicit(&p->slowest, memory_order_relaxed);
}

void conc_pool_slow(conc_pool *p, int64_t ns, const char *name) {
  conc_mutex_lock(&p->lock);
  size_t i = p->nslow;
  while (i > 0 && p->slow[i - 1].ns < ns)
    i--;
  if (i < CONC_SLOWEST) {
    if (p->nslow < CONC_SLOWEST)
      p->nslow++;
    memmove(&p->slow[i + 1], &p->slow[i],
            (p->nslow - 1 - i) * sizeof p->slow[0]);
    p->slow[i].ns = ns;
    (void)snprintf(p->slow[i].name, sizeof p->slow[i].name, "%s", name);
  }
  if (p->nslow == CONC_SLOWEST)
    atomic_store(&p->slowest, p->slow[CONC_SLOWEST - 1].ns);
  conc_mutex_unlock(&p->lock);
}

static void look_at(conc_worker *w, conc_worker_stats *s) {
  conc_thread_name(w->thread, s->name, sizeof s->name);
  s->tasks = 0;
  for (int i = 0; i < 3; i++)
    s->tasks += atomic_load(&w->ended[i]);
  s->startup = atomic_load(&w->startup);
  s->waited = atomic_load(&w->waited);
  s->worked = atomic_load(&w->worked);
  s->running = atomic_load(&w->depth);
}

size_t conc_pool_look(conc_pool *p, conc_pool_stats *stats,
                      conc_worker_stats *workers, size_t room) {
  *stats = (conc_pool_stats){.queued = conc_pool_queued(p)};
  conc_mutex_lock(&p->lock);
  for (int i = 0; i < 3; i++)
    stats->ended[i] = p->past[i] + p->elsewhere[i];
  stats->ended[0] += atomic_load(&p->cancelled);
  for (conc_worker *w = p->first; w != NULL; w = w->next) {
    for (int i = 0; i < 3; i++)
      stats->ended[i] += atomic_load(&w->ended[i]);
    stats->running += atomic_load(&w->depth);
    if (stats->workers++ < room)
      look_at(w, &workers[stats->workers - 1]);
  }
  stats->nslow = p->nslow;
  memcpy(stats->slow, p->slow, sizeof p->slow);
  conc_mutex_unlock(&p->lock);
  return stats->workers;
}
