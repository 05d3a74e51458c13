#include "ipc/srlock.h"

const conc_shared_class conc_srlock_class = {
  .cls = {"RLock", conc_proxy_destroy},
  .id = CONC_SHARED_RLOCK,
  .size = sizeof(conc_srlock),
  .least = sizeof(conc_srlock_word)};

apr_status_t conc_srlock_new(conc_srlock **out) {
  conc_proxy *p;
  apr_status_t st =
    conc_shared_new(&p, &conc_srlock_class, sizeof(conc_srlock_word));
  if (st != APR_SUCCESS)
    return st;
  conc_shared_publish(p);
  *out = (conc_srlock *)p;
  return APR_SUCCESS;
}

/* The same for no two threads, nor for one that has ended and one that lives. */
static uint64_t name_of(const conc_parker *self) {
  return conc_heap_name(self->life);
}

/* Relaxed: others only compare it with their own; the latch orders more. */
static void set_owner(conc_srlock_word *w, uint64_t owner) {
  atomic_store_explicit(&w->owner, owner, memory_order_relaxed);
}

bool conc_srlock_owned(const conc_srlock *l, const conc_parker *self) {
  return atomic_load_explicit(&conc_srlock_at(l)->owner,
                              memory_order_relaxed) == name_of(self);
}

static apr_status_t once_more(conc_srlock_word *w) {
  if (w->level == UINT32_MAX)
    return CONC_MISUSE;
  w->level++;
  return APR_SUCCESS;
}

/* What the acquire of the lock has given. */
static apr_status_t taken(conc_srlock_word *w, const conc_parker *self,
                          apr_status_t st) {
  if (st == APR_SUCCESS || st == CONC_ABANDONED) {
    set_owner(w, name_of(self));
    w->level = 1;
  }
  return st;
}

apr_status_t conc_srlock_acquire(conc_srlock *l, conc_parker *self,
                                 conc_time deadline) {
  conc_srlock_word *w = conc_srlock_at(l);
  if (conc_srlock_owned(l, self))
    return once_more(w);
  return taken(w, self, conc_slock_take(&w->lock, self, deadline));
}

apr_status_t conc_srlock_enter(conc_srlock *l, conc_parker *self, bool slept) {
  conc_srlock_word *w = conc_srlock_at(l);
  if (conc_srlock_owned(l, self))
    return once_more(w);
  return taken(w, self, conc_slock_enter(&w->lock, slept));
}

apr_status_t conc_srlock_release(conc_srlock *l, const conc_parker *self) {
  conc_srlock_word *w = conc_srlock_at(l);
  if (!conc_srlock_owned(l, self))
    return CONC_MISUSE;
  if (--w->level != 0)
    return APR_SUCCESS;
  set_owner(w, 0);
  return conc_slock_drop(&w->lock);
}

bool conc_srlock_locked(const conc_srlock *l) {
  return conc_robust_held(&conc_srlock_at(l)->lock.latch);
}

uint32_t conc_srlock_save(conc_srlock *l) {
  conc_srlock_word *w = conc_srlock_at(l);
  uint32_t level = w->level;
  w->level = 0;
  set_owner(w, 0);
  (void)conc_slock_drop(&w->lock);
  return level;
}

void conc_srlock_restore(conc_srlock *l, uint32_t level, conc_parker *self) {
  conc_srlock_word *w = conc_srlock_at(l);
  conc_slock_retake(&w->lock, self);
  set_owner(w, name_of(self));
  w->level = level;
}
