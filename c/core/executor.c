#include "core/executor.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/* [c] constant after new   [l] lock, a leaf   [a] atomic */
struct conc_pool {
  conc_obj obj;
  conc_closer closer;  /* of the root, while it is open */
  conc_root *root;     /* [c] a reference */
  conc_queue *queue;   /* [c] a reference: the tasks */
  conc_pool_conf conf; /* [c] */
  conc_word lock;
  size_t started;        /* [l] workers ever started, for names */
  conc_word workers;     /* [a] that are alive, or about to; joiners wait */
  _Atomic uint64_t done; /* [a] tasks dealt with, until all are hired */
  conc_word broken;      /* [a] 1: 'why' is there */
  conc_msg why;          /* [c] once broken */
};

/* ---- Life ---- */

static void conf_fini(conc_pool_conf *conf) {
  conc_free(conf->prefix);
  conc_msg_fini(&conf->init);
  conc_release(conf->env);
}

static void pool_destroy(conc_obj *o) {
  conc_pool *p = (conc_pool *)o;
  conf_fini(&p->conf);
  conc_msg_fini(&p->why);
  conc_release((conc_obj *)p->queue);
  conc_root_release(p->root);
  conc_obj_free(o);
}

static const conc_class pool_class = {"pool", pool_destroy};

static void executor_destroy(conc_obj *o) {
  conc_executor *ex = (conc_executor *)o;
  conc_pool_shutdown(ex->pool, false);
  conc_release(&ex->pool->obj);
  conc_obj_free(o);
}

const conc_class conc_executor_class = {"ThreadPoolExecutor", executor_destroy};

static void close_pool(conc_closer *c) {
  char *at = (char *)c - offsetof(conc_pool, closer);
  conc_pool_shutdown((conc_pool *)(void *)at, false);
}

static apr_status_t pool_new(conc_pool **out, conc_root *root,
                             conc_pool_conf *conf) {
  conc_pool *p = conc_obj_new(&pool_class, sizeof *p);
  if (p == NULL) {
    conf_fini(conf);
    return APR_ENOMEM;
  }
  conc_root_retain(root);
  p->root = root;
  p->conf = *conf;
  p->closer.close = close_pool;
  p->closer.obj = &p->obj;
  apr_status_t st = conc_queue_new(&p->queue, CONC_QUEUE_FIFO, 0);
  if (st == APR_SUCCESS)
    st = conc_root_add_closer(root, &p->closer);
  if (st != APR_SUCCESS) {
    conc_release(&p->obj);
    return st;
  }
  *out = p;
  return APR_SUCCESS;
}

apr_status_t conc_executor_new(conc_executor **out, conc_root *root,
                               conc_pool_conf *conf) {
  conc_executor *ex = conc_obj_new(&conc_executor_class, sizeof *ex);
  if (ex == NULL) {
    conf_fini(conf);
    return APR_ENOMEM;
  }
  apr_status_t st = pool_new(&ex->pool, root, conf);
  if (st != APR_SUCCESS) {
    conc_obj_free(&ex->obj);
    return st;
  }
  *out = ex;
  return APR_SUCCESS;
}

/* ---- Workers ---- */

conc_pool *conc_pool_of(conc_thread *t) { return t->arg; }

const conc_pool_conf *conc_pool_conf_of(const conc_pool *p) { return &p->conf; }

static void work(conc_thread *t, void *prepared) {
  conc_pool *p = t->arg;
  p->conf.run(t, prepared);
}

/* Count one worker less; returns how many were counted. */
static uint32_t fire(conc_pool *p) {
  uint32_t n = atomic_fetch_sub(&p->workers, 1);
  conc_wake(&p->workers, CONC_ALL);
  return n;
}

/* The pool stays until here.  Who waits for its workers sees none listed. */
static void leave(conc_thread *t) {
  conc_pool *p = t->arg;
  (void)fire(p);
  conc_release(&p->obj);
}

static apr_status_t start_worker(conc_pool *p) {
  char name[128];
  conc_thread *t;
  conc_mutex_lock(&p->lock);
  size_t number = p->started++;
  conc_mutex_unlock(&p->lock);
  (void)snprintf(name, sizeof name, "%s_%zu", p->conf.prefix, number);
  apr_status_t st = conc_thread_new(&t, p->root, name, false);
  if (st != APR_SUCCESS)
    return st;
  t->run = work;
  t->ended = leave;
  t->arg = p;
  conc_retain(&p->obj);
  st = conc_thread_start(t);
  if (st != APR_SUCCESS)
    conc_release(&p->obj);
  conc_release(&t->obj);
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

/*
 * More tasks, queued and running, than workers: hire.  So idle ones are used
 * before new ones are made, and a task that waits for a new one gets it done
 * by another worker.
 */
static apr_status_t hire(conc_pool *p) {
  uint32_t n = atomic_load(&p->workers);
  if (n >= p->conf.max_workers ||
      conc_queue_total(p->queue) - atomic_load(&p->done) <= n || !may_hire(p))
    return APR_SUCCESS;
  apr_status_t st = start_worker(p);
  if (st != APR_SUCCESS && fire(p) > 1)
    return APR_SUCCESS; /* others are there to do it */
  return st;
}

apr_status_t conc_pool_submit(conc_pool *p, conc_msg *m, conc_parker *self) {
  if (atomic_load(&p->broken) != 0)
    return CONC_BROKEN;
  if (atomic_load(&p->workers) == 0) {
    /* The first one is hired before anything is queued for it. */
    if (conc_queue_is_shutdown(p->queue))
      return CONC_CLOSED;
    apr_status_t st = may_hire(p) ? start_worker(p) : APR_SUCCESS;
    if (st != APR_SUCCESS) {
      (void)fire(p);
      return st;
    }
  }
  apr_status_t st = conc_queue_push(p->queue, m, NULL, self, CONC_NOW);
  return st == APR_SUCCESS ? hire(p) : st;
}

bool conc_pool_take(conc_pool *p, conc_msg *m, conc_parker *self) {
  apr_status_t st;
  do
    st = conc_queue_pop(p->queue, m, NULL, self, CONC_FOREVER);
  while (st == CONC_INTERRUPTED ||
         (st == CONC_CANCELLED && atomic_exchange(&self->cancel, 0) != 0));
  return st == APR_SUCCESS;
}

void conc_pool_done(conc_pool *p) {
  if (atomic_load(&p->workers) < p->conf.max_workers)
    atomic_fetch_add(&p->done, 1);
}

/* ---- The end ---- */

static void drop_all(conc_pool *p, conc_parker *self) {
  conc_msg m;
  while (conc_queue_pop(p->queue, &m, NULL, self, CONC_NOW) == APR_SUCCESS) {
    (void)conc_future_cancel((conc_future *)conc_msg_refs(&m)[0]);
    conc_msg_fini(&m);
  }
}

void conc_pool_shutdown(conc_pool *p, bool cancel) {
  conc_queue_shutdown(p->queue, false);
  if (cancel)
    drop_all(p, NULL);
  conc_root_remove_closer(p->root, &p->closer);
}

apr_status_t conc_pool_join(conc_pool *p, conc_parker *self,
                            conc_time deadline) {
  uint32_t n;
  while ((n = atomic_load(&p->workers)) != 0) {
    apr_status_t st = conc_wait(&p->workers, n, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}

/* A future whose task will not run: failed with the pool's 'why'. */
static void fail_one(conc_pool *p, conc_msg *m) {
  conc_future *f = (conc_future *)conc_msg_refs(m)[0];
  conc_msg copy;
  if (conc_future_start(f)) {
    if (conc_msg_copy(&copy, &p->why) != APR_SUCCESS)
      copy = (conc_msg){0};
    conc_future_finish(f, CONC_FUTURE_FAILED, &copy);
  }
  conc_msg_fini(m);
}

void conc_pool_break(conc_pool *p, conc_msg *why) {
  conc_msg m;
  conc_mutex_lock(&p->lock);
  bool first = p->why.size == 0;
  if (first)
    p->why = conc_msg_take(why);
  conc_mutex_unlock(&p->lock);
  conc_msg_fini(why);
  if (first)
    atomic_store(&p->broken, 1);
  conc_queue_shutdown(p->queue, false);
  while (conc_queue_pop(p->queue, &m, NULL, NULL, CONC_NOW) == APR_SUCCESS)
    fail_one(p, &m);
}

conc_msg *conc_pool_why(conc_pool *p) {
  return atomic_load(&p->broken) != 0 ? &p->why : NULL;
}

size_t conc_pool_workers(const conc_pool *p) {
  return atomic_load(&p->workers);
}

size_t conc_pool_queued(const conc_pool *p) { return conc_queue_len(p->queue); }
