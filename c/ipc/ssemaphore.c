#include "ipc/ssemaphore.h"

const conc_shared_class conc_ssemaphore_class = {
  .cls = {"Semaphore", conc_proxy_destroy},
  .id = CONC_SHARED_SEMAPHORE,
  .size = sizeof(conc_ssemaphore),
  .least = sizeof(conc_ssemaphore_word)};

const conc_shared_class conc_sbounded_class = {
  .cls = {"BoundedSemaphore", conc_proxy_destroy},
  .id = CONC_SHARED_BOUNDED,
  .size = sizeof(conc_ssemaphore),
  .least = sizeof(conc_ssemaphore_word)};

apr_status_t conc_ssemaphore_new(conc_ssemaphore **out,
                                 const conc_shared_class *cls, uint32_t value) {
  conc_proxy *p;
  apr_status_t st = conc_shared_new(&p, cls, sizeof(conc_ssemaphore_word));
  if (st != APR_SUCCESS)
    return st;
  conc_ssemaphore_word *w = p->at;
  w->most = cls == &conc_sbounded_class ? value : CONC_SEMAPHORE_MAX;
  atomic_store(&w->value, value);
  conc_shared_publish(p);
  *out = (conc_ssemaphore *)p;
  return APR_SUCCESS;
}

static bool has_permit(const void *arg) {
  const conc_ssemaphore_word *w = arg;
  return atomic_load(&w->value) != 0;
}

bool conc_ssemaphore_try(conc_ssemaphore *s) {
  conc_word *value = &conc_ssemaphore_at(s)->value;
  uint32_t v = atomic_load(value);
  while (v != 0)
    if (atomic_compare_exchange_weak(value, &v, v - 1))
      return true;
  return false;
}

apr_status_t conc_ssemaphore_acquire(conc_ssemaphore *s, conc_parker *self,
                                     conc_time deadline) {
  conc_ssemaphore_word *w = conc_ssemaphore_at(s);
  while (!conc_ssemaphore_try(s)) {
    apr_status_t st = conc_sgate_await(&w->gate, has_permit, w, self, deadline);
    if (st != APR_SUCCESS)
      return st;
  }
  return APR_SUCCESS;
}

/* Many permits: it is cheaper to let everybody look. */
apr_status_t conc_ssemaphore_release(conc_ssemaphore *s, uint32_t n) {
  enum { FEW = 4 };
  conc_ssemaphore_word *w = conc_ssemaphore_at(s);
  uint32_t v = atomic_load(&w->value);
  do {
    if (v > w->most || n > w->most - v)
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(&w->value, &v, v + n));
  if (n > FEW)
    conc_sgate_notify_all(&w->gate);
  else
    for (uint32_t i = 0; i < n; i++)
      conc_sgate_notify(&w->gate);
  return APR_SUCCESS;
}
