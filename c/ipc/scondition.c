/*
 * The argument is that of core/condition.c.  A waiter that is dead when a
 * notify comes to it is passed over; one that dies after it was chosen takes
 * that notify with it.
 */

#include "ipc/scondition.h"

#include "ipc/srlock.h"

static bool is_plain(const conc_scondition *c) {
  return c->lock->cls == &conc_slock_class.cls;
}

static conc_slock *plain(const conc_scondition *c) {
  return (conc_slock *)c->lock;
}

static conc_srlock *recursive(const conc_scondition *c) {
  return (conc_srlock *)c->lock;
}

static conc_scondition_word *word_of(const conc_scondition *c) {
  return c->proxy.at;
}

/* ---- Life ---- */

static bool is_lock(conc_shared_id id) {
  return id == CONC_SHARED_LOCK || id == CONC_SHARED_RLOCK;
}

static apr_status_t open_condition(conc_proxy *p) {
  conc_scondition *c = (conc_scondition *)p;
  conc_proxy *lock;
  uint64_t at = atomic_load(&word_of(c)->lock);
  /* First: another condition, or this one, would be opened in its turn. */
  if (!conc_heap_valid(at) || !is_lock(conc_shared_class_of(at)))
    return CONC_CORRUPT;
  apr_status_t st = conc_shared_get(&lock, at);
  if (st != APR_SUCCESS)
    return st;
  c->lock = &lock->obj;
  if (is_plain(c) || c->lock->cls == &conc_srlock_class.cls)
    return APR_SUCCESS;
  conc_release(c->lock);
  return CONC_CORRUPT;
}

static void close_condition(conc_proxy *p) {
  conc_release(((conc_scondition *)p)->lock);
}

static void destroy(void *object) {
  conc_shared_drop(&((conc_scondition_word *)object)->lock);
}

const conc_shared_class conc_scondition_class = {
  .cls = {"Condition", conc_proxy_destroy},
  .id = CONC_SHARED_CONDITION,
  .size = sizeof(conc_scondition),
  .least = sizeof(conc_scondition_word),
  .open = open_condition,
  .close = close_condition,
  .destroy = destroy};

static apr_status_t own_lock(conc_obj **lock) {
  conc_srlock *mine;
  apr_status_t st = conc_srlock_new(&mine);
  if (st == APR_SUCCESS)
    *lock = &mine->proxy.obj;
  return st;
}

apr_status_t conc_scondition_new(conc_scondition **out, conc_obj *lock) {
  conc_proxy *p;
  apr_status_t st =
    conc_shared_new(&p, &conc_scondition_class, sizeof(conc_scondition_word));
  if (st != APR_SUCCESS)
    return st;
  conc_scondition *c = (conc_scondition *)p;
  if (lock != NULL)
    c->lock = conc_retain(lock);
  else
    st = own_lock(&c->lock);
  if (st != APR_SUCCESS) {
    conc_release(&p->obj);
    return st;
  }
  conc_shared_publish(p);
  conc_shared_put(&word_of(c)->lock, (const conc_proxy *)c->lock);
  *out = c;
  return APR_SUCCESS;
}

/* ---- Its lock ---- */

apr_status_t conc_scondition_acquire(conc_scondition *c, conc_parker *self,
                                     conc_time deadline) {
  return is_plain(c) ? conc_slock_acquire(plain(c), self, deadline)
                     : conc_srlock_acquire(recursive(c), self, deadline);
}

apr_status_t conc_scondition_release(conc_scondition *c, conc_parker *self) {
  return is_plain(c) ? conc_slock_release(plain(c))
                     : conc_srlock_release(recursive(c), self);
}

bool conc_scondition_locked(const conc_scondition *c) {
  return is_plain(c) ? conc_slock_locked(plain(c))
                     : conc_srlock_locked(recursive(c));
}

bool conc_scondition_owned(const conc_scondition *c, const conc_parker *self) {
  return is_plain(c) ? conc_slock_locked(plain(c))
                     : conc_srlock_owned(recursive(c), self);
}

/* False: it was not held. */
static bool save(conc_scondition *c, uint32_t *level) {
  *level = 1;
  if (is_plain(c))
    return conc_slock_release(plain(c)) == APR_SUCCESS;
  *level = conc_srlock_save(recursive(c));
  return true;
}

static void restore(conc_scondition *c, uint32_t level, conc_parker *self) {
  if (is_plain(c))
    conc_slock_retake(conc_slock_at(plain(c)), self);
  else
    conc_srlock_restore(recursive(c), level, self);
}

/* ---- Waiting ---- */

static void join(conc_sline *line, conc_sturn *t) {
  conc_txn_begin(&line->txn);
  conc_sline_join(line, t);
  conc_txn_commit(&line->txn);
}

/* Leave the line; false: a notify was faster. */
static bool leave(conc_sline *line, conc_sturn *t) {
  conc_txn_begin(&line->txn);
  bool inside = atomic_load(&t->inside) != 0;
  if (inside)
    conc_sline_leave(line, t);
  conc_txn_commit(&line->txn);
  return inside;
}

static apr_status_t wait_in_line(conc_scondition *c, conc_sturn *t,
                                 conc_parker *self, conc_time deadline) {
  conc_sline *line = &word_of(c)->line;
  uint32_t level;
  join(line, t);
  if (!save(c, &level)) {
    (void)leave(line, t);
    return CONC_MISUSE;
  }
  apr_status_t st = conc_sturn_wait(t, self, deadline);
  restore(c, level, self);
  if (st != APR_SUCCESS && !leave(line, t))
    st = APR_SUCCESS;
  return st;
}

apr_status_t conc_scondition_wait(conc_scondition *c, conc_parker *self,
                                  conc_time deadline) {
  conc_ref *place;
  if (!conc_scondition_owned(c, self))
    return CONC_MISUSE;
  apr_status_t st = conc_sturn_new(&place, &c->proxy);
  if (st != APR_SUCCESS)
    return st;
  st = wait_in_line(c, conc_sturn_at(place), self, deadline);
  conc_sturn_free(place);
  return st;
}

apr_status_t conc_scondition_notify(conc_scondition *c, size_t n,
                                    const conc_parker *self) {
  conc_sline *line = &word_of(c)->line;
  conc_sturn *t;
  if (!conc_scondition_owned(c, self))
    return CONC_MISUSE;
  conc_txn_begin(&line->txn);
  while (n > 0 && (t = conc_sline_first(line)) != NULL) {
    n -= conc_heap_alive(t->member);
    conc_sline_tell(line, t, 1);
  }
  conc_txn_abort(&line->txn);
  return APR_SUCCESS;
}
