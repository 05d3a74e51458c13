#include "core/semaphore.h"

const conc_class conc_semaphore_class = {"Semaphore", conc_obj_free};
const conc_class conc_bounded_class = {"BoundedSemaphore", conc_obj_free};

apr_status_t conc_semaphore_new(conc_semaphore **out, const conc_class *cls,
                                uint32_t value) {
  conc_semaphore *s = conc_obj_new(cls, sizeof *s);
  if (s == NULL)
    return APR_ENOMEM;
  s->most = cls == &conc_bounded_class ? value : CONC_SEMAPHORE_MAX;
  atomic_init(&s->value, value);
  *out = s;
  return APR_SUCCESS;
}

static bool has_permit(const void *arg) {
  return conc_semaphore_value(arg) != 0;
}

apr_status_t conc_semaphore_acquire(conc_semaphore *s, conc_parker *self,
                                    conc_time deadline) {
  if (conc_semaphore_try(s))
    return APR_SUCCESS;
  do {
    apr_status_t st = conc_gate_await(&s->gate, has_permit, s, self, deadline);
    if (st != APR_SUCCESS)
      return st;
  } while (!conc_semaphore_try(s));
  /* The rule of gate.h: a release may have relied on this thread alone. */
  if (has_permit(s))
    conc_gate_notify(&s->gate);
  return APR_SUCCESS;
}

apr_status_t conc_semaphore_release(conc_semaphore *s, uint32_t n) {
  uint32_t v = atomic_load(&s->value);
  do {
    if (n > s->most - v)
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(&s->value, &v, v + n));
  /* Those who are let through let the next ones through; these save time. */
  uint32_t sleepers = atomic_load(&s->gate.sleepers);
  for (uint32_t i = 0; i < n && i < sleepers; i++)
    conc_gate_notify(&s->gate);
  return APR_SUCCESS;
}
