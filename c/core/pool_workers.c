/* The workers of a pool: hired, at work, gone. */

#include "core/pool.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/status.h"
#include "wait/lot.h"

/* ---- Hiring ---- */

static void interrupt(conc_runner *r) {
  conc_worker *w = (conc_worker *)r;
  w->pool->conf.interrupt(w);
}

static void work(conc_thread *t, void *prepared) {
  conc_worker *w = t->arg;
  w->pool->conf.run(w, prepared);
}

static void fire(void *worker) {
  conc_worker *w = worker;
  conc_worker_enable(w); /* first, so that nobody sees all disabled */
  if (!w->gone)
    atomic_fetch_sub(&w->pool->workers, 1);
  w->gone = true;
}

static void unlink_locked(conc_pool *p, conc_worker *w) {
  if (w->prev != NULL)
    w->prev->next = w->next;
  else
    p->first = w->next;
  if (w->next != NULL)
    w->next->prev = w->prev;
  for (int i = 0; i < 3; i++)
    p->past[i] += atomic_load(&w->ended[i]);
}

static void link_worker(conc_pool *p, conc_worker *w) {
  conc_mutex_lock(&p->lock);
  w->next = p->first;
  if (p->first != NULL)
    p->first->prev = w;
  p->first = w;
  conc_mutex_unlock(&p->lock);
}

static void unlink_worker(conc_pool *p, conc_worker *w) {
  conc_mutex_lock(&p->lock);
  unlink_locked(p, w);
  conc_mutex_unlock(&p->lock);
}

/* The pool stays until here.  Who waits for its workers sees none listed. */
static void leave(conc_thread *t) {
  conc_worker *w = t->arg;
  conc_pool *p = w->pool;
  t->arg = NULL;
  fire(w);
  unlink_worker(p, w);
  conc_free(w);
  atomic_fetch_sub(&p->alive, 1);
  conc_wake(&p->alive, CONC_ALL);
  conc_release(&p->obj);
}

/* A thread for the worker, with the next name. */
static apr_status_t make_thread(conc_pool *p, conc_worker *w) {
  char name[128];
  conc_mutex_lock(&p->lock);
  size_t number = p->started++;
  conc_mutex_unlock(&p->lock);
  (void)snprintf(name, sizeof name, "%s_%zu", p->conf.prefix, number);
  apr_status_t st = conc_thread_new(&w->thread, p->root, name, false);
  if (st != APR_SUCCESS)
    return st;
  w->thread->run = work;
  w->thread->ended = leave;
  w->thread->arg = w;
  w->thread->helper = p->conf.processes;
  return APR_SUCCESS;
}

/* A worker that was counted already. */
static apr_status_t start_worker(conc_pool *p) {
  conc_worker *w = conc_alloc(sizeof *w);
  if (w == NULL)
    return APR_ENOMEM;
  *w = (conc_worker){.runner = {interrupt}, .pool = p};
  w->hired = conc_sys_now();
  apr_status_t st = make_thread(p, w);
  if (st != APR_SUCCESS)
    goto free_worker;
  conc_thread *t = w->thread;
  conc_retain(&p->obj);
  atomic_fetch_add(&p->alive, 1);
  link_worker(p, w);
  st = conc_thread_start(t);
  if (st != APR_SUCCESS)
    goto unlink;
  conc_release(&t->obj); /* it holds itself while it runs */
  return APR_SUCCESS;

unlink:
  unlink_worker(p, w);
  atomic_fetch_sub(&p->alive, 1);
  conc_release(&p->obj);
  conc_release(&t->obj);
free_worker:
  conc_free(w);
  return st;
}

/* Count one worker more if there may be one. */
static bool may_hire(conc_pool *p) {
  uint32_t n = atomic_load(&p->workers);
  while (n < p->conf.max_workers)
    if (atomic_compare_exchange_weak(&p->workers, &n, n + 1))
      return true;
  return false;
}

/* Tasks that have ended, one way or the other. */
static uint64_t count_ended(conc_pool *p) {
  uint64_t n = atomic_load(&p->cancelled);
  conc_mutex_lock(&p->lock);
  for (int i = 0; i < 3; i++)
    n += p->past[i];
  for (conc_worker *w = p->first; w != NULL; w = w->next)
    for (int i = 0; i < 3; i++)
      n += atomic_load(&w->ended[i]);
  conc_mutex_unlock(&p->lock);
  return n;
}

apr_status_t conc_pool_hire(conc_pool *p) {
  uint32_t n = atomic_load(&p->workers);
  if (n >= p->conf.max_workers)
    return APR_SUCCESS;
  uint64_t ended = n == 0 ? 0 : count_ended(p);
  if (n > 0 && atomic_load(&p->tasks.added) - ended <= n)
    return APR_SUCCESS;
  if (!may_hire(p))
    return APR_SUCCESS;
  apr_status_t st = start_worker(p);
  if (st != APR_SUCCESS && atomic_fetch_sub(&p->workers, 1) > 1)
    return APR_SUCCESS; /* others are there to do it */
  return st;
}

/* ---- Working ---- */

bool conc_pool_ready(const void *pool) {
  const conc_pool *p = pool;
  return conc_tasks_count(&p->tasks) != 0 || atomic_load(&p->closed) != 0;
}

conc_gate *conc_pool_gate(conc_pool *p) { return &p->gate; }

/* The next task that can be started, or NULL. */
static conc_future *take_now(conc_worker *w) {
  conc_pool *p = w->pool;
  conc_future *f;
  while ((f = conc_tasks_take(&p->tasks)) != NULL) {
    if (conc_future_start(f, &w->runner)) {
      if (atomic_load(&p->gate.sleepers) != 0 && conc_pool_ready(p))
        conc_gate_notify(&p->gate); /* a rule of gates */
      return f;
    }
    conc_pool_skip(p, f);
  }
  return NULL;
}

apr_status_t conc_pool_take(conc_worker *w, conc_future **f, conc_parker *self,
                            conc_time deadline) {
  conc_pool *p = w->pool;
  for (;;) {
    if ((*f = take_now(w)) != NULL)
      return APR_SUCCESS;
    if (conc_pool_over(p))
      return CONC_CLOSED;
    apr_status_t st =
      conc_gate_await(&p->gate, conc_pool_ready, p, self, deadline);
    if (st != APR_SUCCESS)
      return st;
  }
}

void conc_pool_split(conc_worker *w, conc_future *f) {
  conc_pool *p = w->pool;
  conc_retain(&f->obj);
  f->home = &p->home;
  conc_tasks_put_back(&p->tasks, f);
  conc_gate_notify(&p->gate);
  (void)conc_pool_hire(p); /* if not, this worker will do it */
}

/* It counts as pending before it is: who cancels it then uncounts it. */
bool conc_pool_return(conc_pool *p, conc_future *f) {
  bool bounded = p->conf.max_pending != 0;
  if (bounded)
    atomic_fetch_add(&p->pending, 1);
  f->home = &p->home;
  if (!conc_future_unstart(f)) {
    if (bounded)
      conc_pool_unreserve(p);
    return false;
  }
  conc_tasks_untake(&p->tasks, f);
  conc_gate_notify(&p->gate);
  return true;
}

bool conc_pool_claim(conc_worker *w, conc_future *f) {
  conc_pool *p = w->pool;
  /* Relaxed in effect: it was submitted here, or the comparison fails. */
  if (f->home != &p->home || !conc_future_start(f, &w->runner))
    return false;
  atomic_fetch_add(&p->husks, 1);
  conc_retain(&f->obj);
  return true;
}

void conc_worker_ended(conc_worker *w, conc_future_state how) {
  /* Only this thread writes it; release: pairs with who counts. */
  _Atomic uint64_t *n = &w->ended[conc_pool_index(how)];
  atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                        memory_order_release);
}

bool conc_worker_retire(conc_worker *w) {
  return conc_tasks_if_empty(&w->pool->tasks, fire, w);
}

/*
 * Who adds a task counts on this worker until it has retired, so it does not
 * leave because the list was empty a moment ago.
 */
bool conc_worker_replace(conc_worker *w) {
  conc_pool *p = w->pool;
  while (!conc_worker_retire(w)) {
    if (conc_pool_over(p))
      return true;
    if (conc_pool_empty(p))
      continue; /* another took it, or it is being closed */
    if (start_worker(p) != APR_SUCCESS)
      return false;
    w->gone = true; /* the new one is counted in its place */
    return true;
  }
  return true;
}

bool conc_worker_resign(conc_worker *w) {
  conc_pool *p = w->pool;
  uint32_t n = atomic_load(&p->workers);
  conc_worker_enable(w);
  while (n > 1)
    if (atomic_compare_exchange_weak(&p->workers, &n, n - 1))
      return w->gone = true;
  return false;
}

void conc_worker_disable(conc_worker *w) {
  if (!w->disabled)
    atomic_fetch_add(&w->pool->disabled, 1);
  w->disabled = true;
}

void conc_worker_enable(conc_worker *w) {
  if (w->disabled)
    atomic_fetch_sub(&w->pool->disabled, 1);
  w->disabled = false;
}

/* 'disabled' first: it is lowered before 'workers'. */
bool conc_pool_disabled(const conc_pool *p) {
  uint32_t n = atomic_load(&p->disabled);
  return n != 0 && n >= atomic_load(&p->workers);
}

size_t conc_pool_queued(const conc_pool *p) {
  uint64_t husks = atomic_load(&p->husks);
  uint64_t queued = conc_tasks_count(&p->tasks);
  return queued < husks ? 0 : (size_t)(queued - husks);
}

bool conc_pool_empty(const conc_pool *p) {
  return conc_tasks_count(&p->tasks) == 0;
}

bool conc_pool_over(const conc_pool *p) {
  return atomic_load(&p->closed) != 0 && conc_tasks_count(&p->tasks) == 0;
}

bool conc_pool_has(const conc_pool *p, const conc_future *f) {
  return f->home == &p->home && conc_future_is(f) == CONC_FUTURE_PENDING;
}

bool conc_pool_stick(conc_pool *p) {
  uint32_t n = atomic_fetch_add(&p->stuck, 1) + 1;
  if (n < atomic_load(&p->workers))
    return true;
  atomic_fetch_sub(&p->stuck, 1);
  return false;
}

void conc_pool_unstick(conc_pool *p) { atomic_fetch_sub(&p->stuck, 1); }
