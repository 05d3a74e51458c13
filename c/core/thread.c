#include "core/thread.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/deadlock.h"
#include "core/shield.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/* [c] constant after new   [l] lock, a leaf   [a] atomic */
struct conc_root {
  conc_obj obj;
  conc_crew *crew;   /* [c] */
  conc_clock *clock; /* [c] */
  conc_word lock;
  bool closing;              /* [l] */
  bool ended;                /* [l] no thread starts any more */
  bool cancelled;            /* [l] every wait of its threads ends now */
  conc_thread *first, *last; /* [l] started and not done, each a reference */
  conc_closer *closers;      /* [l] */
  conc_obj *shared;          /* [l] until it closes, or NULL */
  conc_thread *main;         /* [l] a reference until it closes */
  size_t stack;              /* [l] of threads that do not say otherwise */
  conc_opener opener;        /* [l] */
  conc_obj *attached;        /* [l] a reference, constant once set */
  conc_word ends;            /* [a] changes when a thread is done */
  conc_detector detector;    /* see deadlock.h */
  _Atomic uint64_t counter;  /* [a] */
};

/* ---- Threads ---- */

static void thread_destroy(conc_obj *o) {
  conc_thread *t = (conc_thread *)o;
  conc_msg_fini(&t->job);
  conc_msg_fini(&t->hook);
  conc_release(t->env);
  conc_free(t->name);
  conc_root_release(t->root);
  conc_obj_free(o);
}

const conc_class conc_thread_class = {"Thread", thread_destroy};

static char *copy_text(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = conc_alloc(size);
  return copy == NULL ? NULL : memcpy(copy, s, size);
}

apr_status_t conc_thread_new(conc_thread **out, conc_root *root,
                             const char *name, bool daemon) {
  conc_thread *t = conc_obj_new(&conc_thread_class, sizeof *t);
  if (t == NULL)
    return APR_ENOMEM;
  t->name = copy_text(name);
  if (t->name == NULL) {
    conc_obj_free(&t->obj);
    return APR_ENOMEM;
  }
  conc_root_retain(root);
  t->root = root;
  t->daemon = daemon;
  *out = t;
  return APR_SUCCESS;
}

static void link_locked(conc_root *r, conc_thread *t) {
  t->next = NULL;
  t->prev = r->last;
  if (r->last != NULL)
    r->last->next = t;
  else
    r->first = t;
  r->last = t;
}

static void unlink_locked(conc_root *r, conc_thread *t) {
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

static void set_native(conc_thread *t) {
  t->native = conc_sys_tid();
  atomic_store(&t->nativeset, 1);
  conc_wake(&t->nativeset, CONC_ALL);
}

/* Idents are addresses: nonzero, and free again when the object is. */
static uint64_t ident_of(const conc_thread *t) {
  return (uint64_t)(uintptr_t)t;
}

apr_status_t conc_thread_adopt(conc_thread **out, conc_root *root,
                               const char *name, conc_parker *self) {
  conc_thread *t;
  apr_status_t st = conc_thread_new(&t, root, name, false);
  if (st != APR_SUCCESS)
    return st;
  t->foreign = true;
  t->parker = self;
  t->ident = ident_of(t);
  atomic_store(&t->stage, CONC_THREAD_STARTED);
  set_native(t);
  conc_mutex_lock(&root->lock);
  if (root->main == NULL && !root->closing)
    root->main = (conc_thread *)conc_retain(&t->obj);
  conc_mutex_unlock(&root->lock);
  *out = t;
  return APR_SUCCESS;
}

/*
 * The thread is done.  It leaves the list before the stage says so, so that a
 * joined thread is never listed; its parker is out of reach before the carrier
 * uses it for another job.
 */
static void finish(conc_thread *t) {
  conc_root *r = t->root;
  conc_root_retain(r); /* the thread's own goes with its last reference */
  conc_mutex_lock(&r->lock);
  conc_outside(1); /* until all are woken whom this or its memory may wake */
  unlink_locked(r, t);
  conc_parker *self = t->parker;
  t->parker = NULL;
  conc_mutex_unlock(&r->lock);
  conc_thread_tell(t, NULL);
  atomic_store(&self->cancel, 0);
  atomic_store(&self->asked, 0);
  self->shield = 0;
  if (t->ended != NULL)
    t->ended(t);
  atomic_store(&t->stage, CONC_THREAD_DONE);
  conc_wake(&t->stage, CONC_ALL);
  atomic_fetch_add(&r->ends, 1);
  conc_wake(&r->ends, CONC_ALL);
  conc_release(&t->obj);
  conc_root_release(r);
  conc_outside(-1);
}

static void run(void *arg, void *prepared, conc_parker *self) {
  conc_thread *t = arg;
  char name[64];
  conc_mutex_lock(&t->root->lock);
  t->parker = self;
  if (t->root->cancelled)
    conc_parker_cancel(self);
  conc_mutex_unlock(&t->root->lock);
  set_native(t);
  conc_thread_name(t, name, sizeof name);
  conc_sys_name_thread(name);
  t->run(t, prepared);
  finish(t);
}

/* Undo a start that failed. */
static void unstart(conc_thread *t) {
  conc_mutex_lock(&t->root->lock);
  unlink_locked(t->root, t);
  conc_mutex_unlock(&t->root->lock);
  atomic_store(&t->stage, CONC_THREAD_NEW);
  conc_release(&t->obj);
}

apr_status_t conc_thread_start(conc_thread *t) {
  conc_root *r = t->root;
  uint32_t is_new = CONC_THREAD_NEW;
  if (!atomic_compare_exchange_strong(&t->stage, &is_new, CONC_THREAD_STARTED))
    return CONC_MISUSE;
  conc_retain(&t->obj);
  t->ident = ident_of(t);
  conc_mutex_lock(&r->lock);
  bool ended = r->ended;
  link_locked(r, t);
  conc_mutex_unlock(&r->lock);
  apr_status_t st = CONC_CLOSED;
  if (!ended) {
    conc_job job = {.run = run, .arg = t, .stack = t->stack};
    st = conc_crew_run(r->crew, &job);
  }
  if (st != APR_SUCCESS)
    unstart(t);
  return st;
}

bool conc_thread_alive(const conc_thread *t) {
  return atomic_load(&t->stage) == CONC_THREAD_STARTED;
}

apr_status_t conc_thread_join(conc_thread *t, conc_parker *self,
                              conc_time deadline) {
  apr_status_t st = APR_SUCCESS;
  while (atomic_load(&t->stage) == CONC_THREAD_STARTED) {
    st = conc_wait(&t->stage, CONC_THREAD_STARTED, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}

void conc_thread_cancel(conc_thread *t) {
  conc_mutex_lock(&t->root->lock);
  if (t->parker != NULL)
    conc_parker_cancel(t->parker);
  conc_mutex_unlock(&t->root->lock);
}

void conc_thread_interrupt(conc_thread *t) {
  conc_mutex_lock(&t->root->lock);
  if (t->parker != NULL)
    conc_parker_cancel(t->parker);
  if (t->nudge != NULL)
    t->nudge(t->nudged);
  conc_mutex_unlock(&t->root->lock);
}

void conc_thread_reach(conc_thread *t, void (*nudge)(void *arg), void *arg) {
  conc_mutex_lock(&t->root->lock);
  t->nudge = nudge;
  t->nudged = arg;
  conc_mutex_unlock(&t->root->lock);
}

static void report_destroy(conc_obj *o) {
  conc_free(((conc_report *)o)->text);
  conc_obj_free(o);
}

static const conc_class report_class = {"report", report_destroy};

/* The report that was asked for before, or 'r'; a reference. */
static conc_report *want(conc_thread *t, conc_report *r) {
  conc_mutex_lock(&t->lock);
  if (t->report == NULL)
    t->report = (conc_report *)conc_retain(&r->obj);
  r = (conc_report *)conc_retain(&t->report->obj);
  conc_mutex_unlock(&t->lock);
  return r;
}

apr_status_t conc_thread_ask(conc_thread *t, conc_report **out) {
  conc_report *r = conc_obj_new(&report_class, sizeof *r);
  if (r == NULL)
    return APR_ENOMEM;
  conc_mutex_lock(&t->root->lock);
  bool runs = t->parker != NULL;
  if (runs) {
    *out = want(t, r);
    conc_parker_ask(t->parker, CONC_ASKED_REPORT);
    if (t->nudge != NULL)
      t->nudge(t->nudged);
  }
  conc_mutex_unlock(&t->root->lock);
  conc_release(&r->obj);
  return runs ? APR_SUCCESS : CONC_MISUSE;
}

void conc_thread_tell(conc_thread *t, char *text) {
  conc_mutex_lock(&t->lock);
  conc_report *r = t->report;
  t->report = NULL;
  conc_mutex_unlock(&t->lock);
  if (r == NULL) {
    conc_free(text);
    return;
  }
  r->text = text;
  atomic_store(&r->done, 1);
  conc_wake(&r->done, CONC_ALL);
  conc_release(&r->obj);
}

uint64_t conc_thread_native(conc_thread *t, conc_parker *self) {
  if (atomic_load(&t->stage) == CONC_THREAD_NEW)
    return 0;
  conc_shield_up(self);
  while (atomic_load(&t->nativeset) == 0)
    (void)conc_wait(&t->nativeset, 0, self, CONC_FOREVER);
  conc_shield_down(self);
  return t->native;
}

void conc_thread_name(conc_thread *t, char *name, size_t size) {
  conc_mutex_lock(&t->lock);
  (void)snprintf(name, size, "%s", t->name);
  conc_mutex_unlock(&t->lock);
}

apr_status_t conc_thread_set_name(conc_thread *t, const char *name) {
  char *copy = copy_text(name);
  if (copy == NULL)
    return APR_ENOMEM;
  conc_mutex_lock(&t->lock);
  char *old = t->name;
  t->name = copy;
  conc_mutex_unlock(&t->lock);
  conc_free(old);
  return APR_SUCCESS;
}

apr_status_t conc_thread_set_daemon(conc_thread *t, bool daemon) {
  if (atomic_load(&t->stage) != CONC_THREAD_NEW)
    return CONC_MISUSE;
  t->daemon = daemon;
  return APR_SUCCESS;
}

/* ---- Roots ---- */

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

size_t conc_root_threads(conc_root *r, conc_thread **list, size_t room) {
  size_t n = 0;
  conc_mutex_lock(&r->lock);
  for (conc_thread *t = r->first; t != NULL; t = t->next, n++)
    if (n < room)
      list[n] = (conc_thread *)conc_retain(&t->obj);
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

conc_detector *conc_root_detector(conc_root *r) { return &r->detector; }

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
