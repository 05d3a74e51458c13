#include "ipc/slock.h"

#include "core/shield.h"

const conc_shared_class conc_slock_class = {.cls = {"Lock", conc_proxy_destroy},
                                            .id = CONC_SHARED_LOCK,
                                            .size = sizeof(conc_slock),
                                            .least = sizeof(conc_slock_word)};

apr_status_t conc_slock_new(conc_slock **out) {
  conc_proxy *p;
  apr_status_t st =
    conc_shared_new(&p, &conc_slock_class, sizeof(conc_slock_word));
  if (st != APR_SUCCESS)
    return st;
  conc_shared_publish(p);
  *out = (conc_slock *)p;
  return APR_SUCCESS;
}

apr_status_t conc_slock_take(conc_slock_word *w, conc_parker *self,
                             conc_time deadline) {
  apr_status_t st = conc_robust_acquire(&w->latch, self, deadline);
  if (st != APR_SUCCESS)
    return st;
  /* Relaxed: written by whoever held the latch. */
  if (atomic_load_explicit(&w->abandoned, memory_order_relaxed) == 0)
    return APR_SUCCESS;
  atomic_store(&w->abandoned, 0);
  return CONC_ABANDONED;
}

void conc_slock_retake(conc_slock_word *w, conc_parker *self) {
  conc_shield_up(self);
  if (conc_robust_acquire(&w->latch, self, CONC_FOREVER) == CONC_ABANDONED)
    atomic_store(&w->abandoned, 1);
  conc_shield_down(self);
}
