#include "core/thread.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/root.h"
#include "core/shield.h"
#include "wait/lot.h"
#include "wait/mutex.h"

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

apr_status_t conc_thread_new(conc_thread **out, conc_root *root,
                             const char *name, bool daemon) {
  conc_thread *t = conc_obj_new(&conc_thread_class, sizeof *t);
  if (t == NULL)
    return APR_ENOMEM;
  t->name = conc_strdup(name);
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
  conc_root_unlink_locked(r, t);
  conc_parker *self = t->parker;
  t->parker = NULL;
  conc_mutex_unlock(&r->lock);
  conc_thread_tell(t, NULL);
  atomic_store(&self->cancel, 0);
  atomic_store(&self->asked, 0);
  self->shield = self->deaf = 0;
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
  conc_parker_begin(self);
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
  conc_root_unlink_locked(t->root, t);
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
  conc_root_link_locked(r, t);
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
  char *copy = conc_strdup(name);
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
