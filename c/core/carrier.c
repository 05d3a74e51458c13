#include "core/carrier.h"

#include "base/init.h"
#include "base/mem.h"
#include "base/object.h"
#include "base/status.h"
#include "core/shield.h"
#include "sys/apr.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/*
 * How long a carrier waits for another job, and what stack it has: a mebibyte,
 * and as much for the thread-local data of what a host has loaded, which lies
 * on it (of ThreadSanitizer's 0.8 MB).
 */
static const int64_t IDLE = 1000000000;
static const size_t STACK = 2 << 20;

enum { NOTHING, JOB, LEAVE };

/*
 * A carrier is at work, or in the crew's list of idle ones, or in the list of
 * those gone, whose OS thread is about to return and must be joined.
 *   [c] constant after new   [l] crew's lock   [a] atomic
 *   [j] written by whoever took it from the idle list, before 'call' is JOB
 */
typedef struct carrier {
  conc_crew *crew;   /* [c] a reference */
  apr_pool_t *pool;  /* [c] its own: pools are not shared between threads */
  apr_thread_t *os;  /* [l] */
  conc_parker *self; /* [c] */
  bool once;         /* [c] its stack is not the default one: no second job */
  bool ready;        /* [l] has prepared for the next job */
  conc_word made;    /* [a] whoever made it will not touch it any more */
  conc_word call;    /* [a] */
  conc_job job;      /* [j] */
  struct carrier *next; /* [l] in idle or gone */
} carrier;

/* [c] constant after new   [l] lock, a leaf   [a] atomic */
struct conc_crew {
  conc_obj obj;
  conc_crew_conf conf; /* [c] */
  conc_word lock;
  _Atomic uint64_t pid; /* [a] the process of the first thread; 0: none yet;
                            set under lock */
  bool closed;          /* [l] */
  bool abandoned;  /* [l] nobody joins any more: carriers free themselves */
  carrier *idle;   /* [l] */
  carrier *gone;   /* [l] */
  conc_word alive; /* [a] carriers that are not gone; closers wait on it */
};

static void destroy(conc_obj *o) { conc_obj_free(o); }

static const conc_class crew_class = {"crew", destroy};

apr_status_t conc_crew_new(conc_crew **out, const conc_crew_conf *conf) {
  conc_crew *c = conc_obj_new(&crew_class, sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  c->conf = *conf;
  conc_wait_mind_forks();
  *out = c;
  return APR_SUCCESS;
}

void conc_crew_release(conc_crew *c) { conc_release(&c->obj); }

static void carrier_free(carrier *c) {
  conc_crew *crew = c->crew;
  conc_parker_free(c->self);
  conc_apr.pool_destroy(c->pool);
  conc_free(c);
  conc_crew_release(crew);
}

/* Join and free a chain of carriers that are gone or told to leave. */
static void reap(carrier *chain) {
  while (chain != NULL) {
    carrier *c = chain;
    apr_status_t unused;
    chain = c->next;
    (void)conc_apr.thread_join(&unused, c->os);
    carrier_free(c);
  }
}

static carrier *take_gone(conc_crew *crew) {
  conc_mutex_lock(&crew->lock);
  carrier *chain = crew->gone;
  crew->gone = NULL;
  conc_mutex_unlock(&crew->lock);
  return chain;
}

/* ---- In the carrier ---- */

/* Stand in the idle list; false: the crew wants it to end. */
static bool become_idle(carrier *c) {
  conc_crew *crew = c->crew;
  conc_mutex_lock(&crew->lock);
  bool stay = !crew->closed && !c->once;
  if (stay) {
    c->ready = false;
    atomic_store(&c->call, NOTHING);
    c->next = crew->idle;
    crew->idle = c;
  }
  conc_mutex_unlock(&crew->lock);
  return stay;
}

/* Leave the idle list; false: somebody took it out, a call is coming. */
static bool stop_idling(carrier *c) {
  conc_crew *crew = c->crew;
  conc_mutex_lock(&crew->lock);
  carrier **p = &crew->idle;
  while (*p != NULL && *p != c)
    p = &(*p)->next;
  bool inside = *p == c;
  if (inside)
    *p = c->next;
  conc_mutex_unlock(&crew->lock);
  return inside;
}

static uint32_t await_call(carrier *c) {
  conc_time deadline = conc_sys_now() + IDLE;
  while (atomic_load(&c->call) == NOTHING) {
    apr_status_t st = conc_wait(&c->call, NOTHING, c->self, deadline);
    if (!APR_STATUS_IS_TIMEUP(st))
      continue;
    if (stop_idling(c))
      return LEAVE;
    deadline = CONC_FOREVER;
  }
  return atomic_load(&c->call);
}

/* Wait for the next job with something prepared; false: leave. */
static bool next_job(carrier *c, void **prepared) {
  conc_crew *crew = c->crew;
  if (!become_idle(c))
    return false;
  *prepared = crew->conf.prepare(crew->conf.arg);
  conc_mutex_lock(&crew->lock);
  c->ready = true;
  conc_mutex_unlock(&crew->lock);
  uint32_t call = await_call(c);
  if (call == JOB)
    return true;
  if (*prepared != NULL)
    crew->conf.discard(*prepared);
  return false;
}

/* A short job may end before the call that made the thread has returned. */
static void await_made(carrier *c) {
  conc_shield_up(c->self);
  while (atomic_load(&c->made) == 0)
    (void)conc_wait(&c->made, 0, c->self, CONC_FOREVER);
  conc_shield_down(c->self);
}

/* The carrier's last act: afterwards somebody else frees it, or it has. */
static void go(carrier *c) {
  conc_crew *crew = c->crew;
  conc_retain(&crew->obj);
  await_made(c);
  conc_mutex_lock(&crew->lock);
  bool alone = crew->abandoned;
  bool called = atomic_load(&c->call) == LEAVE; /* who called joins it */
  if (!alone && !called) {
    c->next = crew->gone;
    crew->gone = c;
  }
  atomic_fetch_sub(&crew->alive, 1);
  conc_mutex_unlock(&crew->lock);
  if (alone && !called) {
    (void)conc_apr.thread_detach(c->os);
    carrier_free(c);
  }
  conc_wake(&crew->alive, CONC_ALL);
  conc_crew_release(crew);
}

static void *APR_THREAD_FUNC carry(apr_thread_t *os, void *arg) {
  carrier *c = arg;
  void *prepared = NULL;
  (void)os;
  do {
    c->job.run(c->job.arg, prepared, c->self);
    prepared = NULL;
  } while (next_job(c, &prepared));
  go(c);
  return NULL;
}

/* ---- Calling one ---- */

/* Take an idle carrier, if possible one that has prepared. */
static carrier *take_idle_locked(conc_crew *crew) {
  carrier **p = &crew->idle;
  while (*p != NULL && !(*p)->ready)
    p = &(*p)->next;
  if (*p == NULL)
    p = &crew->idle;
  carrier *c = *p;
  if (c != NULL)
    *p = c->next;
  return c;
}

static apr_status_t spawn(carrier *c, size_t stack) {
  struct conc_sys_mask mask;
  apr_threadattr_t *attr;
  apr_status_t st = conc_apr.threadattr_create(&attr, c->pool);
  if (st == APR_SUCCESS)
    st = conc_apr.threadattr_stacksize_set(attr, stack);
  if (st != APR_SUCCESS)
    return st;
  /* Signals are the host's: none is delivered in a thread of ours. */
  conc_sys_mask_signals(&mask);
  st = conc_apr.thread_create(&c->os, attr, carry, c, c->pool);
  conc_sys_unmask_signals(&mask);
  return st;
}

static apr_status_t carrier_start(conc_crew *crew, const conc_job *job) {
  apr_status_t st = conc_init();
  if (st != APR_SUCCESS)
    return st;
  carrier *c = conc_alloc(sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  *c = (carrier){.crew = crew, .job = *job, .once = job->stack != 0};
  conc_retain(&crew->obj);
  st = APR_ENOMEM;
  if ((c->self = conc_parker_new()) == NULL)
    goto free_carrier;
  if ((st = conc_apr.pool_create(&c->pool, NULL, NULL)) != APR_SUCCESS)
    goto free_parker;
  st = spawn(c, job->stack != 0 ? job->stack : STACK);
  if (st == APR_SUCCESS) {
    atomic_store(&c->made, 1);
    conc_wake(&c->made, 1);
    return APR_SUCCESS;
  }

  conc_apr.pool_destroy(c->pool);
free_parker:
  conc_parker_free(c->self);
free_carrier:
  conc_free(c);
  conc_release(&crew->obj);
  return st;
}

bool conc_crew_forked(const conc_crew *crew) {
  uint64_t pid = atomic_load(&crew->pid);
  return pid != 0 && pid != conc_sys_pid();
}

static apr_status_t admit_locked(conc_crew *crew) {
  if (crew->closed)
    return CONC_CLOSED;
  if (atomic_load(&crew->pid) == 0) {
    (void)conc_sys_forks(); /* they count from now on */
    atomic_store(&crew->pid, conc_sys_pid());
  }
  return conc_crew_forked(crew) ? CONC_MISUSE : APR_SUCCESS;
}

/* It was counted before. */
static apr_status_t make_one(conc_crew *crew, const conc_job *job) {
  apr_status_t st = carrier_start(crew, job);
  if (st != APR_SUCCESS) {
    atomic_fetch_sub(&crew->alive, 1);
    conc_wake(&crew->alive, CONC_ALL);
  }
  return st;
}

apr_status_t conc_crew_run(conc_crew *crew, const conc_job *job) {
  carrier *c = NULL;
  conc_mutex_lock(&crew->lock);
  apr_status_t st = admit_locked(crew);
  carrier *gone = crew->gone;
  if (st == APR_SUCCESS) {
    crew->gone = NULL;
    if (job->stack == 0)
      c = take_idle_locked(crew);
    if (c == NULL)
      atomic_fetch_add(&crew->alive, 1); /* a closer waits for it from now on */
  }
  conc_mutex_unlock(&crew->lock);
  if (st != APR_SUCCESS)
    return st;
  reap(gone);
  if (c == NULL)
    return make_one(crew, job);
  c->job = *job;
  atomic_store(&c->call, JOB);
  conc_wake(&c->call, 1);
  return APR_SUCCESS;
}

/* ---- The end ---- */

static void dismiss(carrier *chain) {
  for (carrier *c = chain; c != NULL; c = c->next) {
    atomic_store(&c->call, LEAVE);
    conc_wake(&c->call, 1);
  }
  reap(chain);
}

void conc_crew_close(conc_crew *crew, conc_parker *self, conc_time deadline) {
  if (conc_crew_forked(crew))
    return; /* the carriers are in another process: none to tell or to join */
  conc_mutex_lock(&crew->lock);
  crew->closed = true;
  carrier *idle = crew->idle;
  crew->idle = NULL;
  conc_mutex_unlock(&crew->lock);
  dismiss(idle);
  conc_shield_up(self);
  uint32_t alive;
  apr_status_t st = APR_SUCCESS;
  while ((alive = atomic_load(&crew->alive)) != 0 && !APR_STATUS_IS_TIMEUP(st))
    st = conc_wait(&crew->alive, alive, self, deadline);
  conc_shield_down(self);
  conc_mutex_lock(&crew->lock);
  crew->abandoned = true;
  conc_mutex_unlock(&crew->lock);
  reap(take_gone(crew));
}
