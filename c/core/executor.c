#include "core/executor.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/*
 * A task is queued until a worker takes it and starts it.  One that was
 * cancelled, or claimed from the middle by a worker that waits for it, stays
 * in the list as a husk; 'husks' counts those.
 *
 * Enough workers: after a task was added, the adder looks whether more tasks
 * were added than have ended and there may be one worker more.  A worker that
 * retires takes itself out of the count while nothing can be added, and only
 * if the list is empty; so whoever adds later does not count on it.
 *
 *   [c] constant after new   [l] lock, a leaf   [a] atomic
 */
struct conc_pool {
  conc_obj obj;
  conc_home home;
  conc_closer closer;  /* of the root, while it is open */
  conc_root *root;     /* [c] a reference */
  conc_pool_conf conf; /* [c] */
  conc_tasks tasks;
  conc_gate gate;    /* opens when there is a task, or never again one */
  conc_gate room;    /* opens when something pending has left */
  conc_word pending; /* [a] with max_pending: reserved or queued */
  conc_word closed;  /* [a] 1: no task is added any more */
  conc_word husks;   /* [a] */
  _Atomic uint64_t cancelled; /* [a] tasks, before they had started */
  conc_word stuck;            /* [a] see conc_pool_stick */
  conc_word workers;          /* [a] that take tasks, or are about to */
  conc_word disabled;         /* [a] of those, who cannot run any */
  conc_word alive;  /* [a] whose threads have not ended; joiners wait */
  conc_word broken; /* [a] 1: 'why' is there */
  conc_word pace;   /* [a] a conc_pool_pace, which only rises */
  conc_msg why;     /* [c] once broken */
  bool told;        /* [c] once broken: nobody need look at errors of it */
  conc_word lock;
  size_t started;               /* [l] workers ever started, for names */
  conc_worker *first;           /* [l] the living */
  uint64_t past[3];             /* [l] what those that are gone have ended */
  uint64_t elsewhere[3];        /* [l] what others than workers have ended */
  _Atomic int64_t slowest;      /* [a] how slow is worth a look */
  size_t nslow;                 /* [l] */
  conc_slow slow[CONC_SLOWEST]; /* [l] in order */
};

static size_t index_of(conc_future_state how) {
  return (size_t)how - CONC_FUTURE_CANCELLED;
}

/* ---- Life ---- */

static void conf_fini(conc_pool_conf *conf) {
  conc_free(conf->prefix);
  conc_msg_fini(&conf->init);
  conc_release(conf->env);
}

/* Taken from the list, and not to be started: a husk. */
static void skip(conc_pool *p, conc_future *f) {
  atomic_fetch_sub(&p->husks, 1);
  conc_future_leave_home(f);
  conc_release(&f->obj);
}

/* Cancel all that is queued. */
static void drop_all(conc_pool *p) {
  conc_future *f;
  while ((f = conc_tasks_take(&p->tasks)) != NULL) {
    (void)conc_future_cancel(f);
    skip(p, f);
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

/* ---- Workers ---- */

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

/* A task that no worker has run. */
static void count_failed(conc_pool *p) {
  conc_mutex_lock(&p->lock);
  p->past[index_of(CONC_FUTURE_FAILED)]++;
  conc_mutex_unlock(&p->lock);
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

/*
 * More tasks, queued and running, than workers: hire.  So idle ones are used
 * before new ones are made, and a task that waits for a new one gets it done
 * by another worker.
 */
static apr_status_t hire(conc_pool *p) {
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

apr_status_t conc_pool_submit(conc_pool *p, conc_future *f) {
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
  apr_status_t st = hire(p);
  if (st == APR_SUCCESS || !conc_future_start(f, NULL))
    return APR_SUCCESS;
  atomic_fetch_add(&p->husks, 1);
  count_failed(p);
  return st;
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

/* ---- For workers ---- */

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
    skip(p, f);
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
  (void)hire(p); /* if not, this worker will do it */
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
  _Atomic uint64_t *n = &w->ended[index_of(how)];
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
  skip(p, f);
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

/* ---- Seeing ---- */

void conc_pool_ran(conc_pool *p, conc_future_state how) {
  conc_mutex_lock(&p->lock);
  p->elsewhere[index_of(how)]++;
  conc_mutex_unlock(&p->lock);
}

bool conc_pool_is_slow(const conc_pool *p, int64_t ns) {
  /* Relaxed: a hint, asked after every task. */
  return ns > atomic_load_explicit(&p->slowest, memory_order_relaxed);
}

void conc_pool_slow(conc_pool *p, int64_t ns, const char *name) {
  conc_mutex_lock(&p->lock);
  size_t i = p->nslow;
  while (i > 0 && p->slow[i - 1].ns < ns)
    i--;
  if (i < CONC_SLOWEST) {
    if (p->nslow < CONC_SLOWEST)
      p->nslow++;
    memmove(&p->slow[i + 1], &p->slow[i],
            (p->nslow - 1 - i) * sizeof p->slow[0]);
    p->slow[i].ns = ns;
    (void)snprintf(p->slow[i].name, sizeof p->slow[i].name, "%s", name);
  }
  if (p->nslow == CONC_SLOWEST)
    atomic_store(&p->slowest, p->slow[CONC_SLOWEST - 1].ns);
  conc_mutex_unlock(&p->lock);
}

static void look_at(conc_worker *w, conc_worker_stats *s) {
  conc_thread_name(w->thread, s->name, sizeof s->name);
  s->tasks = 0;
  for (int i = 0; i < 3; i++)
    s->tasks += atomic_load(&w->ended[i]);
  s->startup = atomic_load(&w->startup);
  s->waited = atomic_load(&w->waited);
  s->worked = atomic_load(&w->worked);
  s->running = atomic_load(&w->depth);
}

size_t conc_pool_look(conc_pool *p, conc_pool_stats *stats,
                      conc_worker_stats *workers, size_t room) {
  *stats = (conc_pool_stats){.queued = conc_pool_queued(p)};
  conc_mutex_lock(&p->lock);
  for (int i = 0; i < 3; i++)
    stats->ended[i] = p->past[i] + p->elsewhere[i];
  stats->ended[0] += atomic_load(&p->cancelled);
  for (conc_worker *w = p->first; w != NULL; w = w->next) {
    for (int i = 0; i < 3; i++)
      stats->ended[i] += atomic_load(&w->ended[i]);
    stats->running += atomic_load(&w->depth);
    if (stats->workers++ < room)
      look_at(w, &workers[stats->workers - 1]);
  }
  stats->nslow = p->nslow;
  memcpy(stats->slow, p->slow, sizeof p->slow);
  conc_mutex_unlock(&p->lock);
  return stats->workers;
}
