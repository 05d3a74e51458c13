#include "core/tasks.h"

#include "wait/mutex.h"

/* Locks are taken in the order out, in. */

bool conc_tasks_add(conc_tasks *t, conc_future *f) {
  f->next = NULL;
  conc_mutex_lock(&t->in);
  bool open = !t->closed;
  if (open) {
    if (t->first_in == NULL)
      t->first_in = f;
    else
      t->last_in->next = f;
    t->last_in = f;
    /* seq_cst: before the adder looks who sleeps (gate.h). */
    atomic_fetch_add(&t->added, 1);
  }
  conc_mutex_unlock(&t->in);
  return open;
}

void conc_tasks_put_back(conc_tasks *t, conc_future *f) {
  conc_mutex_lock(&t->out);
  f->next = t->first_out;
  t->first_out = f;
  atomic_fetch_add(&t->added, 1);
  conc_mutex_unlock(&t->out);
}

void conc_tasks_untake(conc_tasks *t, conc_future *f) {
  conc_mutex_lock(&t->out);
  f->next = t->first_out;
  t->first_out = f;
  atomic_fetch_sub(&t->taken, 1);
  conc_mutex_unlock(&t->out);
}

/* All that was added becomes what is taken next. */
static conc_future *fetch_locked(conc_tasks *t) {
  conc_mutex_lock(&t->in);
  conc_future *f = t->first_in;
  t->first_in = t->last_in = NULL;
  conc_mutex_unlock(&t->in);
  return f;
}

conc_future *conc_tasks_take(conc_tasks *t) {
  conc_mutex_lock(&t->out);
  conc_future *f = t->first_out;
  if (f == NULL && conc_tasks_count(t) != 0)
    f = fetch_locked(t);
  if (f != NULL) {
    t->first_out = f->next;
    atomic_fetch_add(&t->taken, 1);
  }
  conc_mutex_unlock(&t->out);
  return f;
}

void conc_tasks_close(conc_tasks *t) {
  conc_mutex_lock(&t->in);
  t->closed = true;
  conc_mutex_unlock(&t->in);
}

bool conc_tasks_closed(conc_tasks *t) {
  conc_mutex_lock(&t->in);
  bool closed = t->closed;
  conc_mutex_unlock(&t->in);
  return closed;
}

bool conc_tasks_if_empty(conc_tasks *t, void (*last)(void *arg), void *arg) {
  conc_mutex_lock(&t->out);
  conc_mutex_lock(&t->in);
  bool empty = !t->closed && conc_tasks_count(t) == 0;
  if (empty)
    last(arg);
  conc_mutex_unlock(&t->in);
  conc_mutex_unlock(&t->out);
  return empty;
}
