#include "core/pool.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "wait/lot.h"

/* ---- Life ---- */

static void conf_fini(conc_pool_conf *conf) {
  conc_free(conf->prefix);
  conc_msg_fini(&conf->init);
  conc_release(conf->env);
}

void conc_pool_skip(conc_pool *p, conc_future *f) {
  atomic_fetch_sub(&p->husks, 1);
  conc_future_leave_home(f);
  conc_release(&f->obj);
}

/* Cancel all that is queued. */
static void drop_all(conc_pool *p) {
  conc_future *f;
  while ((f = conc_tasks_take(&p->tasks)) != NULL) {
    (void)conc_future_cancel(f);
    conc_pool_skip(p, f);
  }
}

static void pool_destroy(conc_obj *o) {
  conc_pool *p = (conc_pool *)o;
  drop_all(p);
  conf_fini(&p->conf);
  conc_msg_fini(&p->why);
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
const conc_class conc_process_executor_class = {"ProcessPoolExecutor",
                                                executor_destroy};

static void close_pool(conc_closer *c) {
  char *at = (char *)c - offsetof(conc_pool, closer);
  conc_pool_shutdown((conc_pool *)(void *)at, false);
}

/* A task of ours was started or cancelled (under a shelf's lock). */
static void left(conc_home *h, bool cancelled) {
  conc_pool *p = (conc_pool *)(void *)((char *)h - offsetof(conc_pool, home));
  if (cancelled) {
    atomic_fetch_add(&p->cancelled, 1);
    atomic_fetch_add(&p->husks, 1);
  }
  if (p->conf.max_pending != 0)
    conc_pool_unreserve(p);
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
  p->home.left = left;
  p->closer.close = close_pool;
  p->closer.obj = &p->obj;
  apr_status_t st = conc_root_add_closer(root, &p->closer);
  if (st != APR_SUCCESS) {
    conc_release(&p->obj);
    return st;
  }
  *out = p;
  return APR_SUCCESS;
}

apr_status_t conc_executor_new(conc_executor **out, conc_root *root,
                               conc_pool_conf *conf) {
  conc_executor *ex = conc_obj_new(
    conf->processes ? &conc_process_executor_class : &conc_executor_class,
    sizeof *ex);
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

const conc_pool_conf *conc_pool_conf_of(const conc_pool *p) { return &p->conf; }

/* ---- Submitting ---- */

bool conc_pool_reserve(conc_pool *p) {
  uint32_t n = atomic_load(&p->pending);
  while (n < p->conf.max_pending)
    if (atomic_compare_exchange_weak(&p->pending, &n, n + 1)) {
      if (n + 1 < p->conf.max_pending)
        conc_gate_notify(&p->room); /* a rule of gates */
      return true;
    }
  return false;
}

void conc_pool_unreserve(conc_pool *p) {
  atomic_fetch_sub(&p->pending, 1);
  conc_gate_notify(&p->room);
}

conc_gate *conc_pool_room(conc_pool *p) { return &p->room; }

bool conc_pool_has_room(const void *pool) {
  const conc_pool *p = pool;
  return atomic_load(&p->pending) < p->conf.max_pending ||
         atomic_load(&p->closed) != 0;
}

bool conc_pool_is_closed(const conc_pool *p) {
  return atomic_load(&p->closed) != 0;
}

static apr_status_t refuse(conc_pool *p) {
  if (p->conf.max_pending != 0)
    conc_pool_unreserve(p);
  return atomic_load(&p->broken) != 0 ? CONC_BROKEN : CONC_CLOSED;
}

/* A task that no worker has run. */
static void count_failed(conc_pool *p) {
  conc_mutex_lock(&p->lock);
  p->past[conc_pool_index(CONC_FUTURE_FAILED)]++;
  conc_mutex_unlock(&p->lock);
}

apr_status_t conc_pool_submit(conc_pool *p, conc_future *f,
                              apr_status_t *hired) {
  *hired = APR_SUCCESS;
  if (conc_sys_forks() != 0 && conc_root_forked(p->root))
    return CONC_MISUSE; /* its workers are not here */
  /* Relaxed: nobody else has it yet. */
  atomic_store_explicit(&f->home, &p->home, memory_order_relaxed);
  f->bounded = p->conf.max_pending != 0;
  conc_retain(&f->obj);
  if (!conc_tasks_add(&p->tasks, f)) {
    conc_release(&f->obj);
    return refuse(p);
  }
  conc_gate_notify(&p->gate);
  *hired = conc_pool_hire(p);
  if (*hired == APR_SUCCESS || !conc_future_start(f, NULL))
    return APR_SUCCESS; /* it runs, or somebody else has ended it */
  atomic_fetch_add(&p->husks, 1);
  count_failed(p);
  return *hired;
}

/*
 * Who added a task while a worker was counted hired nobody.  If that one could
 * not be started, its adder, who took it out of the count, comes here: the task
 * was queued before its adder saw the count, so it is there now, and the last
 * adder to take one out sees that there is none.
 */
bool conc_pool_is_deserted(const conc_pool *p) {
  return atomic_load(&p->workers) == 0;
}

/* ---- The end ---- */

static void close_tasks(conc_pool *p) {
  conc_tasks_close(&p->tasks);
  atomic_store(&p->closed, 1);
  conc_gate_notify_all(&p->gate);
  conc_gate_notify_all(&p->room);
}

void conc_pool_shutdown(conc_pool *p, bool cancel) {
  close_tasks(p);
  if (cancel)
    drop_all(p);
  conc_root_remove_closer(p->root, &p->closer);
}

apr_status_t conc_pool_join(conc_pool *p, conc_parker *self,
                            conc_time deadline) {
  uint32_t n;
  while ((n = atomic_load(&p->alive)) != 0 && !conc_root_forked(p->root)) {
    apr_status_t st = conc_wait(&p->alive, n, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}

/* A future whose task will not run. */
static void fail_one(conc_pool *p, conc_future *f, conc_msg *why) {
  conc_msg copy;
  if (conc_future_start(f, NULL)) {
    conc_msg task = conc_msg_take(&f->msg);
    if (conc_msg_copy(&copy, why) != APR_SUCCESS)
      copy = (conc_msg){0};
    count_failed(p);
    f->quiet = f->quiet || (why == &p->why && p->told);
    conc_future_finish(f, CONC_FUTURE_FAILED, &copy);
    conc_msg_fini(&task);
    atomic_fetch_add(&p->husks, 1);
  }
  conc_pool_skip(p, f);
}

void conc_pool_fail_queued(conc_pool *p, conc_msg *why) {
  conc_future *f;
  uint64_t n = conc_tasks_count(&p->tasks);
  while (n-- > 0 && (f = conc_tasks_take(&p->tasks)) != NULL)
    fail_one(p, f, why);
  conc_msg_fini(why);
}

bool conc_pool_break(conc_pool *p, conc_msg *why, bool told) {
  conc_future *f;
  conc_mutex_lock(&p->lock);
  bool first = p->why.size == 0;
  if (first) {
    p->why = conc_msg_take(why);
    p->told = told;
  }
  conc_mutex_unlock(&p->lock);
  conc_msg_fini(why);
  if (first)
    atomic_store(&p->broken, 1);
  close_tasks(p);
  while ((f = conc_tasks_take(&p->tasks)) != NULL)
    fail_one(p, f, &p->why);
  return first;
}

void conc_pool_hurry(conc_pool *p, conc_pool_pace pace) {
  uint32_t now = atomic_load(&p->pace);
  while (now < (uint32_t)pace &&
         !atomic_compare_exchange_weak(&p->pace, &now, (uint32_t)pace))
    ;
  conc_mutex_lock(&p->lock);
  for (conc_worker *w = p->first; w != NULL; w = w->next)
    p->conf.interrupt(w);
  conc_mutex_unlock(&p->lock);
}

bool conc_pool_told(const conc_pool *p) {
  return atomic_load(&p->broken) != 0 && p->told;
}

conc_pool_pace conc_pool_hurried(const conc_pool *p) {
  return (conc_pool_pace)atomic_load(&p->pace);
}

conc_msg *conc_pool_why(conc_pool *p) {
  return atomic_load(&p->broken) != 0 ? &p->why : NULL;
}
