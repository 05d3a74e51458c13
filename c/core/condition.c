/*
 * A waiter joins the line while it still holds the lock, so a notify by
 * anybody who gets the lock later finds it.  It leaves the line only when it
 * holds the lock again: a notify that came after its deadline, but before it
 * was back, has chosen it, and it says so.  Thus each notify that finds
 * somebody makes one wait return APR_SUCCESS, and no one who is told otherwise
 * has taken a notify away from others.
 *
 * Each waiter sleeps on a word of its own, so notify(1) chooses the oldest and
 * cannot be caught by one who comes later.
 */

#include "core/condition.h"

#include "core/line.h"
#include "core/lock.h"
#include "core/rlock.h"
#include "core/shield.h"
#include "wait/mutex.h"

/* What a condition does with its lock.  save may assume that it is owned. */
struct locking {
  apr_status_t (*acquire)(conc_obj *o, conc_parker *self, conc_time deadline);
  apr_status_t (*release)(conc_obj *o, conc_parker *self);
  bool (*owned)(const conc_obj *o, const conc_parker *self);
  bool (*locked)(const conc_obj *o);
  bool (*save)(conc_obj *o, uint32_t *level); /* false: it was not held */
  void (*restore)(conc_obj *o, uint32_t level, conc_parker *self);
};

/*
 * [c] constant after new   [l] guarded by 'mutex', a leaf
 */
struct conc_condition {
  conc_obj obj;
  conc_obj *lock;            /* [c] one reference */
  const struct locking *how; /* [c] */
  conc_word mutex;
  conc_line line; /* [l] */
};

/* A plain lock. */

static apr_status_t lock_acquire(conc_obj *o, conc_parker *self,
                                 conc_time deadline) {
  return conc_lock_acquire((conc_lock *)o, self, deadline);
}

static apr_status_t lock_release(conc_obj *o, conc_parker *self) {
  (void)self;
  return conc_lock_release((conc_lock *)o);
}

static bool lock_locked(const conc_obj *o) {
  return conc_lock_locked((const conc_lock *)o);
}

static bool lock_owned(const conc_obj *o, const conc_parker *self) {
  (void)self;
  return lock_locked(o);
}

static bool lock_save(conc_obj *o, uint32_t *level) {
  *level = 1;
  return conc_lock_release((conc_lock *)o) == APR_SUCCESS;
}

static void lock_restore(conc_obj *o, uint32_t level, conc_parker *self) {
  (void)level;
  conc_shield_up(self);
  (void)conc_lock_acquire((conc_lock *)o, self, CONC_FOREVER);
  conc_shield_down(self);
}

static const struct locking plain = {lock_acquire, lock_release, lock_owned,
                                     lock_locked,  lock_save,    lock_restore};

/* A recursive one. */

static apr_status_t rlock_acquire(conc_obj *o, conc_parker *self,
                                  conc_time deadline) {
  return conc_rlock_acquire((conc_rlock *)o, self, deadline);
}

static apr_status_t rlock_release(conc_obj *o, conc_parker *self) {
  return conc_rlock_release((conc_rlock *)o, self);
}

static bool rlock_owned(const conc_obj *o, const conc_parker *self) {
  return conc_rlock_owned((const conc_rlock *)o, self);
}

static bool rlock_locked(const conc_obj *o) {
  return conc_rlock_locked((const conc_rlock *)o);
}

static bool rlock_save(conc_obj *o, uint32_t *level) {
  *level = conc_rlock_save((conc_rlock *)o);
  return true;
}

static void rlock_restore(conc_obj *o, uint32_t level, conc_parker *self) {
  conc_rlock_restore((conc_rlock *)o, level, self);
}

static const struct locking recursive = {rlock_acquire, rlock_release,
                                         rlock_owned,   rlock_locked,
                                         rlock_save,    rlock_restore};

/* Life. */

static void destroy(conc_obj *o) {
  conc_release(((conc_condition *)o)->lock);
  conc_obj_free(o);
}

const conc_class conc_condition_class = {"Condition", destroy};

apr_status_t conc_condition_new(conc_condition **out, conc_obj *lock) {
  conc_condition *c = conc_obj_new(&conc_condition_class, sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  if (lock == NULL) {
    conc_rlock *mine;
    if (conc_rlock_new(&mine) != APR_SUCCESS)
      goto free_condition;
    c->lock = &mine->obj;
  } else {
    c->lock = conc_retain(lock);
  }
  c->how = c->lock->cls == &conc_lock_class ? &plain : &recursive;
  *out = c;
  return APR_SUCCESS;

free_condition:
  conc_obj_free(&c->obj);
  return APR_ENOMEM;
}

/* Its lock. */

apr_status_t conc_condition_acquire(conc_condition *c, conc_parker *self,
                                    conc_time deadline) {
  return c->how->acquire(c->lock, self, deadline);
}

apr_status_t conc_condition_release(conc_condition *c, conc_parker *self) {
  return c->how->release(c->lock, self);
}

bool conc_condition_locked(const conc_condition *c) {
  return c->how->locked(c->lock);
}

bool conc_condition_owned(const conc_condition *c, const conc_parker *self) {
  return c->how->owned(c->lock, self);
}

/* Waiting. */

static void join(conc_condition *c, conc_turn *t) {
  conc_mutex_lock(&c->mutex);
  conc_line_join_locked(&c->line, t);
  conc_mutex_unlock(&c->mutex);
}

/* Leave the line; false: a notify was faster, and the turn has been told. */
static bool leave(conc_condition *c, conc_turn *t, conc_parker *self) {
  conc_mutex_lock(&c->mutex);
  bool inside = t->inside;
  if (inside)
    conc_line_leave_locked(&c->line, t);
  conc_mutex_unlock(&c->mutex);
  if (!inside)
    conc_turn_settle(t, self);
  return inside;
}

/* Wait without the lock.  CONC_MISUSE: somebody else has released it. */
static apr_status_t wait_outside(conc_condition *c, conc_turn *t,
                                 conc_parker *self, conc_time deadline) {
  uint32_t level;
  if (!c->how->save(c->lock, &level))
    return CONC_MISUSE;
  apr_status_t st = conc_turn_wait(t, self, deadline);
  c->how->restore(c->lock, level, self);
  return st;
}

apr_status_t conc_condition_wait(conc_condition *c, conc_parker *self,
                                 conc_time deadline) {
  conc_turn turn = {0};
  if (!conc_condition_owned(c, self))
    return CONC_MISUSE;
  join(c, &turn);
  apr_status_t st = wait_outside(c, &turn, self, deadline);
  if (st == APR_SUCCESS || leave(c, &turn, self) || st == CONC_MISUSE)
    return st;
  return APR_SUCCESS;
}

apr_status_t conc_condition_notify(conc_condition *c, size_t n,
                                   const conc_parker *self) {
  if (!conc_condition_owned(c, self))
    return CONC_MISUSE;
  conc_mutex_lock(&c->mutex);
  conc_turn *chosen = conc_line_take_locked(&c->line, n);
  conc_mutex_unlock(&c->mutex);
  conc_turn_tell(chosen, 1, 0);
  return APR_SUCCESS;
}
