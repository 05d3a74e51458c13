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

/* What the acquire of the latch has given, and what there is to be told. */
static apr_status_t taken(conc_slock_word *w, apr_status_t st) {
  if (st != APR_SUCCESS)
    return st;
  /* Relaxed: written by whoever held the latch. */
  if (atomic_load_explicit(&w->abandoned, memory_order_relaxed) == 0)
    return APR_SUCCESS;
  atomic_store(&w->abandoned, 0);
  return CONC_ABANDONED;
}

apr_status_t conc_slock_take(conc_slock_word *w, conc_parker *self,
                             conc_time deadline) {
  return taken(w, conc_robust_acquire(&w->latch, self, deadline));
}

apr_status_t conc_slock_enter(conc_slock_word *w, bool slept) {
  return taken(w, conc_robust_enter(&w->latch, slept));
}

/* All look: which of those who select takes it is not known here. */
apr_status_t conc_slock_hand_over(conc_slock_word *w) {
  apr_status_t st = conc_robust_hand_over(&w->latch);
  if (st == APR_SUCCESS)
    conc_sgate_notify_all(&w->gate);
  return st;
}

void conc_slock_retake(conc_slock_word *w, conc_parker *self) {
  conc_shield_up(self);
  if (conc_robust_acquire(&w->latch, self, CONC_FOREVER) == CONC_ABANDONED)
    atomic_store(&w->abandoned, 1);
  conc_shield_down(self);
}
