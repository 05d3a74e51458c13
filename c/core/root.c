#include "core/root.h"

#include "base/mem.h"
#include "base/status.h"
#include "core/shield.h"
#include "wait/lot.h"
#include "wait/mutex.h"

static void root_destroy(conc_obj *o) {
  conc_root *r = (conc_root *)o;
  conc_clock_free(r->clock);
  conc_crew_release(r->crew);
  conc_release(r->attached);
  conc_free(r->detector.text);
  conc_obj_free(o);
  conc_outside(-1);
}

static const conc_class root_class = {"root", root_destroy};

apr_status_t conc_root_new(conc_root **out, const conc_crew_conf *conf) {
  conc_root *r = conc_obj_new(&root_class, sizeof *r);
  if (r == NULL)
    return APR_ENOMEM;
  apr_status_t st = conc_crew_new(&r->crew, conf);
  if (st != APR_SUCCESS)
    goto free_root;
  st = conc_clock_new(&r->clock, r->crew);
  if (st != APR_SUCCESS)
    goto release_crew;
  conc_deadlock_patience(r, CONC_PATIENCE_MS * INT64_C(1000000));
  conc_outside(1); /* of all others */
  *out = r;
  return APR_SUCCESS;

release_crew:
  conc_crew_release(r->crew);
free_root:
  conc_obj_free(&r->obj);
  return st;
}

void conc_root_retain(conc_root *r) { conc_retain(&r->obj); }

void conc_root_release(conc_root *r) {
  if (r != NULL)
    conc_release(&r->obj);
}

/* ---- Its threads ---- */

void conc_root_link_locked(conc_root *r, conc_thread *t) {
  t->next = NULL;
  t->prev = r->last;
  if (r->last != NULL)
    r->last->next = t;
  else
    r->first = t;
  r->last = t;
}

void conc_root_unlink_locked(conc_root *r, conc_thread *t) {
  if (t->prev != NULL)
    t->prev->next = t->next;
  else
    r->first = t->next;
  if (t->next != NULL)
    t->next->prev = t->prev;
  else
    r->last = t->prev;
  t->prev = t->next = NULL;
}

conc_thread *conc_root_main(conc_root *r) {
  conc_mutex_lock(&r->lock);
  conc_thread *t = r->main;
  if (t != NULL)
    conc_retain(&t->obj);
  conc_mutex_unlock(&r->lock);
  return t;
}

size_t conc_root_stack(conc_root *r) {
  conc_mutex_lock(&r->lock);
  size_t bytes = r->stack;
  conc_mutex_unlock(&r->lock);
  return bytes;
}

void conc_root_set_stack(conc_root *r, size_t bytes) {
  conc_mutex_lock(&r->lock);
  r->stack = bytes;
  conc_mutex_unlock(&r->lock);
}

conc_opener conc_root_opener(conc_root *r) {
  conc_mutex_lock(&r->lock);
  conc_opener opener = r->opener;
  conc_mutex_unlock(&r->lock);
  return opener;
}

void conc_root_set_opener(conc_root *r, conc_opener opener) {
  conc_mutex_lock(&r->lock);
  r->opener = opener;
  conc_mutex_unlock(&r->lock);
}

size_t conc_root_threads(conc_root *r, conc_obj **list, size_t room) {
  size_t n = 0;
  conc_mutex_lock(&r->lock);
  for (conc_thread *t = r->first; t != NULL; t = t->next, n++)
    if (n < room)
      list[n] = conc_retain(&t->obj);
  conc_mutex_unlock(&r->lock);
  return n;
}

conc_obj *conc_root_attached(conc_root *r, apr_status_t (*make)(conc_obj **)) {
  conc_obj *o = NULL, *surplus = NULL;
  conc_mutex_lock(&r->lock);
  bool missing = r->attached == NULL;
  conc_mutex_unlock(&r->lock);
  if (missing && make != NULL && make(&o) != APR_SUCCESS)
    return NULL;
  conc_mutex_lock(&r->lock);
  if (r->attached == NULL)
    r->attached = o;
  else
    surplus = o;
  o = r->attached;
  conc_mutex_unlock(&r->lock);
  conc_release(surplus);
  return o;
}

conc_clock *conc_root_clock(conc_root *r) { return r->clock; }

conc_obj *conc_root_shared(conc_root *r) {
  conc_mutex_lock(&r->lock);
  conc_obj *o = r->shared;
  if (o != NULL)
    conc_retain(o);
  conc_mutex_unlock(&r->lock);
  return o;
}

bool conc_root_share(conc_root *r, conc_obj *o) {
  conc_mutex_lock(&r->lock);
  bool first = r->shared == NULL && !r->closing;
  if (first)
    r->shared = conc_retain(o);
  conc_mutex_unlock(&r->lock);
  return first;
}

bool conc_root_visit(conc_root *r, bool (*visit)(conc_thread *t, void *arg),
                     void *arg) {
  conc_mutex_lock(&r->lock);
  bool all = r->main == NULL || visit(r->main, arg);
  for (conc_thread *t = r->first; t != NULL && all; t = t->next)
    all = visit(t, arg);
  conc_mutex_unlock(&r->lock);
  return all;
}

uint64_t conc_root_count(conc_root *r) {
  return atomic_fetch_add(&r->counter, 1) + 1;
}

apr_status_t conc_root_add_closer(conc_root *r, conc_closer *c) {
  apr_status_t st = CONC_CLOSED;
  conc_mutex_lock(&r->lock);
  if (!r->closing) {
    c->prev = NULL;
    c->next = r->closers;
    if (r->closers != NULL)
      r->closers->prev = c;
    r->closers = c;
    c->inside = true;
    conc_retain(c->obj);
    st = APR_SUCCESS;
  }
  conc_mutex_unlock(&r->lock);
  return st;
}

static bool remove_closer_locked(conc_root *r, conc_closer *c) {
  if (!c->inside)
    return false;
  if (c->prev != NULL)
    c->prev->next = c->next;
  else
    r->closers = c->next;
  if (c->next != NULL)
    c->next->prev = c->prev;
  c->inside = false;
  return true;
}

void conc_root_remove_closer(conc_root *r, conc_closer *c) {
  conc_mutex_lock(&r->lock);
  bool removed = remove_closer_locked(r, c);
  conc_mutex_unlock(&r->lock);
  if (removed)
    conc_release(c->obj);
}

/* ---- The ladder ---- */

static bool has_threads(conc_root *r, bool daemons_too) {
  bool found = false;
  conc_mutex_lock(&r->lock);
  for (conc_thread *t = r->first; t != NULL && !found; t = t->next)
    found = daemons_too || !t->daemon;
  conc_mutex_unlock(&r->lock);
  return found;
}

static conc_time slice_end(conc_time deadline) {
  const int64_t slice = 50000000;
  return deadline != CONC_FOREVER ? deadline : conc_sys_now() + slice;
}

/*
 * Wait until no thread of that kind is left; true: so it is.  Threads that wait
 * for each other then are told so, or this would not end.
 */
static bool await_threads(conc_root *r, bool daemons_too, conc_parker *self,
                          conc_time deadline) {
  conc_shield_up(self);
  bool left = true;
  apr_status_t st = APR_SUCCESS;
  while (!APR_STATUS_IS_TIMEUP(st)) {
    uint32_t seen = atomic_load(&r->ends);
    left = has_threads(r, daemons_too);
    if (!left)
      break;
    st = conc_wait(&r->ends, seen, self, slice_end(deadline));
    if (APR_STATUS_IS_TIMEUP(st) && deadline == CONC_FOREVER) {
      conc_deadlock_look(r);
      st = APR_SUCCESS;
    }
  }
  conc_shield_down(self);
  return !left;
}

static void close_all(conc_root *r) {
  for (;;) {
    conc_mutex_lock(&r->lock);
    conc_closer *c = r->closers;
    if (c != NULL)
      (void)remove_closer_locked(r, c);
    conc_mutex_unlock(&r->lock);
    if (c == NULL)
      return;
    c->close(c);
    conc_release(c->obj);
  }
}

static void cancel_all(conc_root *r) {
  conc_mutex_lock(&r->lock);
  r->ended = true;
  r->cancelled = true;
  for (conc_thread *t = r->first; t != NULL; t = t->next)
    if (t->parker != NULL)
      conc_parker_cancel(t->parker);
  conc_mutex_unlock(&r->lock);
}

void conc_root_close(conc_root *r, conc_parker *self, conc_time deadline,
                     int64_t grace) {
  conc_mutex_lock(&r->lock);
  r->closing = true;
  conc_thread *main = r->main;
  conc_obj *shared = r->shared;
  r->main = NULL;
  r->shared = NULL;
  conc_mutex_unlock(&r->lock);
  conc_release(shared);
  if (main != NULL) {
    atomic_store(&main->stage, CONC_THREAD_DONE);
    conc_release(&main->obj);
  }
  close_all(r);
  if (conc_root_forked(r))
    return; /* what there is to wait for is in another process */
  (void)await_threads(r, false, self, deadline);
  cancel_all(r);
  bool empty = await_threads(r, true, self, conc_sys_now() + grace);
  conc_clock_close(r->clock, self);
  /* With every thread done the carriers need a moment; else do not wait. */
  conc_crew_close(r->crew, self, empty ? CONC_FOREVER : CONC_NOW);
}

bool conc_root_forked(const conc_root *r) { return conc_crew_forked(r->crew); }

bool conc_root_cancelled(conc_root *r) {
  conc_mutex_lock(&r->lock);
  bool cancelled = r->cancelled;
  conc_mutex_unlock(&r->lock);
  return cancelled;
}

bool conc_root_closing(conc_root *r) {
  conc_mutex_lock(&r->lock);
  bool closing = r->closing;
  conc_mutex_unlock(&r->lock);
  return closing;
}
