#include "core/rlock.h"

#include "core/shield.h"

const conc_class conc_rlock_class = {"RLock", conc_obj_free};

apr_status_t conc_rlock_new(conc_rlock **out) {
  conc_rlock *l = conc_obj_new(&conc_rlock_class, sizeof *l);
  if (l == NULL)
    return APR_ENOMEM;
  *out = l;
  return APR_SUCCESS;
}

/* Relaxed: others only compare it with themselves; the latch orders more. */
static void set_owner(conc_rlock *l, uint64_t owner) {
  atomic_store_explicit(&l->owner, owner, memory_order_relaxed);
}

void conc_rlock_taken(conc_rlock *l, conc_parker *self) {
  set_owner(l, self->life);
  l->level = 1;
}

apr_status_t conc_rlock_acquire(conc_rlock *l, conc_parker *self,
                                conc_time deadline) {
  if (conc_rlock_owned(l, self)) {
    if (l->level == UINT32_MAX)
      return CONC_MISUSE;
    l->level++;
    return APR_SUCCESS;
  }
  apr_status_t st = conc_latch_acquire(&l->latch, self, deadline);
  if (st == APR_SUCCESS)
    conc_rlock_taken(l, self);
  return st;
}

apr_status_t conc_rlock_release(conc_rlock *l, conc_parker *self) {
  if (!conc_rlock_owned(l, self))
    return CONC_MISUSE;
  if (--l->level != 0)
    return APR_SUCCESS;
  set_owner(l, 0);
  return conc_latch_release(&l->latch);
}

uint32_t conc_rlock_save(conc_rlock *l) {
  uint32_t level = l->level;
  l->level = 0;
  set_owner(l, 0);
  (void)conc_latch_release(&l->latch);
  return level;
}

void conc_rlock_restore(conc_rlock *l, uint32_t level, conc_parker *self) {
  conc_shield_up(self);
  (void)conc_latch_acquire(&l->latch, self, CONC_FOREVER);
  conc_shield_down(self);
  set_owner(l, self->life);
  l->level = level;
}
