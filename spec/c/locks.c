/*
 * The locks and their like under threads that time out, are cancelled and
 * overtake each other, at the level of c/core.  Each test counts what must come
 * out even.  CONC_SCALE shrinks the loops.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/barrier.h"
#include "core/condition.h"
#include "core/event.h"
#include "core/lock.h"
#include "core/rlock.h"
#include "core/semaphore.h"

enum { THREADS = 8, WATCHDOG = 300 };

static const conc_time MICRO = 1000;
static double scale = 1;

static int scaled(int n) {
  int m = (int)(n * scale);
  return m < 10 ? 10 : m;
}

#define CHECK(cond)                                                            \
  do {                                                                         \
    if (!(cond)) {                                                             \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);               \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* What a thread of a test has. */
typedef struct worker {
  pthread_t os;
  conc_parker *self;
  uint64_t random;
  int index;
  void (*body)(struct worker *w);
  void *arg;
} worker;

static uint32_t roll(worker *w, uint32_t n) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return (uint32_t)(w->random >> 11) % n;
}

/* For ever, now, or a few microseconds from now. */
static conc_time some_deadline(worker *w) {
  switch (roll(w, 4)) {
  case 0: return CONC_FOREVER;
  case 1: return CONC_NOW;
  default: return conc_sys_now() + (conc_time)roll(w, 200) * MICRO;
  }
}

static void busy(conc_time ns) {
  conc_time until = conc_sys_now() + ns;
  while (conc_sys_now() < until)
    conc_sys_pause();
}

static void *run(void *arg) {
  worker *w = arg;
  w->body(w);
  return NULL;
}

static void start(worker *w, int n, void (*body)(worker *), void *arg) {
  for (int i = 0; i < n; i++) {
    w[i] = (worker){.index = i, .body = body, .arg = arg};
    w[i].random = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    w[i].self = conc_parker_new();
    CHECK(w[i].self != NULL);
  }
  for (int i = 0; i < n; i++)
    CHECK(pthread_create(&w[i].os, NULL, run, &w[i]) == 0);
}

static void join(worker *w, int n) {
  for (int i = 0; i < n; i++)
    CHECK(pthread_join(w[i].os, NULL) == 0);
  for (int i = 0; i < n; i++)
    conc_parker_free(w[i].self);
}

static void together(void (*body)(worker *), void *arg) {
  worker w[THREADS];
  start(w, THREADS, body, arg);
  join(w, THREADS);
}

/* Somebody cancels a neighbour now and then; the neighbour takes notice. */
static void tease(worker *w) {
  worker *other = w - w->index + roll(w, THREADS);
  if (roll(w, 64) == 0)
    conc_parker_cancel(other->self);
}

static bool cancelled(worker *w, apr_status_t st) {
  if (st == CONC_CANCELLED)
    atomic_store(&w->self->cancel, 0);
  return st == CONC_CANCELLED;
}

/* Lock: whoever has it is alone, and everybody gets it. */

struct lock_test {
  conc_lock *lock;
  int inside, count;
  _Atomic int expected;
};

static void lock_body(worker *w) {
  struct lock_test *t = w->arg;
  for (int i = scaled(20000); i > 0; i--) {
    tease(w);
    apr_status_t st = conc_lock_acquire(t->lock, w->self, some_deadline(w));
    if (cancelled(w, st) || st == APR_TIMEUP)
      continue;
    CHECK(st == APR_SUCCESS);
    CHECK(t->inside++ == 0);
    t->count++;
    if (roll(w, 256) == 0)
      busy(100 * MICRO);
    t->inside--;
    CHECK(conc_lock_release(t->lock) == APR_SUCCESS);
    atomic_fetch_add(&t->expected, 1);
  }
}

static void test_lock(void) {
  struct lock_test t = {0};
  CHECK(conc_lock_new(&t.lock) == APR_SUCCESS);
  together(lock_body, &t);
  CHECK(t.count == atomic_load(&t.expected));
  CHECK(!conc_lock_locked(t.lock));
  CHECK(conc_lock_release(t.lock) == CONC_MISUSE);
  conc_release(&t.lock->obj);
}

/* A thread that hardly ever lets go cannot starve another. */

struct greedy_test {
  conc_lock *lock;
  _Atomic int stop, got;
};

static void greedy_body(worker *w) {
  struct greedy_test *t = w->arg;
  while (atomic_load(&t->stop) == 0) {
    CHECK(conc_lock_acquire(t->lock, w->self, CONC_FOREVER) == APR_SUCCESS);
    if (w->index == 0)
      busy(2000 * MICRO);
    else if (atomic_fetch_add(&t->got, 1) + 1 == scaled(100))
      atomic_store(&t->stop, 1);
    CHECK(conc_lock_release(t->lock) == APR_SUCCESS);
  }
}

static void test_greedy(void) {
  struct greedy_test t = {0};
  worker w[3];
  CHECK(conc_lock_new(&t.lock) == APR_SUCCESS);
  start(w, 3, greedy_body, &t);
  join(w, 3);
  conc_release(&t.lock->obj);
}

/* RLock: the same, several levels deep. */

struct rlock_test {
  conc_rlock *lock;
  int inside;
};

static void rlock_body(worker *w) {
  struct rlock_test *t = w->arg;
  for (int i = scaled(10000); i > 0; i--) {
    uint32_t levels = 1 + roll(w, 3);
    CHECK(conc_rlock_release(t->lock, w->self) == CONC_MISUSE);
    if (conc_rlock_acquire(t->lock, w->self, some_deadline(w)) != APR_SUCCESS)
      continue;
    CHECK(t->inside++ == 0);
    for (uint32_t k = 1; k < levels; k++)
      CHECK(conc_rlock_acquire(t->lock, w->self, CONC_NOW) == APR_SUCCESS);
    t->inside--;
    for (uint32_t k = 0; k < levels; k++)
      CHECK(conc_rlock_release(t->lock, w->self) == APR_SUCCESS);
  }
}

static void test_rlock(void) {
  struct rlock_test t = {0};
  CHECK(conc_rlock_new(&t.lock) == APR_SUCCESS);
  together(rlock_body, &t);
  CHECK(!conc_rlock_locked(t.lock));
  conc_release(&t.lock->obj);
}

/*
 * Condition: every notify that finds a waiter makes one wait succeed, and no
 * wait succeeds without.  'inside' counts the waits that have begun and not
 * ended, as seen with the lock held.
 */

struct condition_test {
  conc_condition *cond;
  int inside, owed; /* of those, how many have been notified */
  int running;
};

static void condition_enter(struct condition_test *t, conc_parker *self) {
  while (conc_condition_acquire(t->cond, self, CONC_FOREVER) != APR_SUCCESS)
    atomic_store(&self->cancel, 0);
}

static void condition_leave(struct condition_test *t, conc_parker *self) {
  CHECK(conc_condition_release(t->cond, self) == APR_SUCCESS);
}

static void condition_wait(worker *w, struct condition_test *t) {
  t->inside++;
  apr_status_t st = conc_condition_wait(t->cond, w->self, some_deadline(w));
  t->inside--;
  if (st == APR_SUCCESS)
    CHECK(t->owed-- > 0);
  else
    CHECK(cancelled(w, st) || st == APR_TIMEUP);
}

static void condition_notify(struct condition_test *t, int n,
                             conc_parker *self) {
  int deaf = t->inside - t->owed;
  CHECK(conc_condition_notify(t->cond, (size_t)n, self) == APR_SUCCESS);
  t->owed += n < deaf ? n : deaf;
}

static void condition_body(worker *w) {
  struct condition_test *t = w->arg;
  for (int i = scaled(5000); i > 0; i--) {
    tease(w);
    condition_enter(t, w->self);
    if (roll(w, 2) == 0)
      condition_wait(w, t);
    else
      condition_notify(t, (int)roll(w, 3), w->self);
    condition_leave(t, w->self);
  }
  condition_enter(t, w->self);
  t->running--;
  condition_leave(t, w->self);
}

/* Let go on who waits for ever, until all are through. */
static void condition_pump(struct condition_test *t) {
  conc_parker *self = conc_parker_new();
  for (int running = 1; running > 0; usleep(100)) {
    condition_enter(t, self);
    running = t->running;
    condition_notify(t, 1, self);
    condition_leave(t, self);
  }
  conc_parker_free(self);
}

static void test_condition(conc_obj *lock) {
  struct condition_test t = {.running = THREADS};
  worker w[THREADS];
  CHECK(conc_condition_new(&t.cond, lock) == APR_SUCCESS);
  conc_release(lock);
  start(w, THREADS, condition_body, &t);
  condition_pump(&t);
  join(w, THREADS);
  CHECK(t.inside == 0 && t.owed == 0);
  conc_release((conc_obj *)t.cond);
}

static void test_conditions(void) {
  conc_lock *plain;
  CHECK(conc_lock_new(&plain) == APR_SUCCESS);
  test_condition(&plain->obj);
  test_condition(NULL);
}

/* Semaphore: never more inside than there are permits, and none is lost. */

enum { PERMITS = 3 };

struct semaphore_test {
  conc_semaphore *sem;
  _Atomic int inside;
};

static void semaphore_body(worker *w) {
  struct semaphore_test *t = w->arg;
  for (int i = scaled(20000); i > 0; i--) {
    tease(w);
    apr_status_t st = conc_semaphore_acquire(t->sem, w->self, some_deadline(w));
    if (cancelled(w, st) || st == APR_TIMEUP)
      continue;
    CHECK(atomic_fetch_add(&t->inside, 1) < PERMITS);
    if (roll(w, 512) == 0)
      busy(100 * MICRO);
    atomic_fetch_sub(&t->inside, 1);
    CHECK(conc_semaphore_release(t->sem, 1) == APR_SUCCESS);
  }
}

static void test_semaphore(void) {
  struct semaphore_test t = {0};
  CHECK(conc_semaphore_new(&t.sem, &conc_bounded_class, PERMITS) ==
        APR_SUCCESS);
  together(semaphore_body, &t);
  CHECK(conc_semaphore_value(t.sem) == PERMITS);
  CHECK(conc_semaphore_release(t.sem, 1) == CONC_MISUSE);
  conc_release(&t.sem->obj);
}

/* Permits given by the handful let that many through. */

static void handful_body(worker *w) {
  struct semaphore_test *t = w->arg;
  for (int i = scaled(5000); i > 0; i--)
    if (w->index == 0)
      conc_semaphore_release(t->sem, THREADS - 1);
    else
      CHECK(conc_semaphore_acquire(t->sem, w->self, CONC_FOREVER) ==
            APR_SUCCESS);
}

static void test_handful(void) {
  struct semaphore_test t = {0};
  CHECK(conc_semaphore_new(&t.sem, &conc_semaphore_class, 0) == APR_SUCCESS);
  together(handful_body, &t);
  CHECK(conc_semaphore_value(t.sem) == 0);
  CHECK(conc_semaphore_release(t.sem, CONC_SEMAPHORE_MAX) == APR_SUCCESS);
  CHECK(conc_semaphore_release(t.sem, 1) == CONC_MISUSE);
  conc_release(&t.sem->obj);
}

/* Event: set for a moment, and everybody who looked before goes on. */

struct event_test {
  conc_event *event;
  conc_semaphore *ready, *gone, *again;
};

static void event_body(worker *w) {
  struct event_test *t = w->arg;
  for (int i = scaled(2000); i > 0; i--) {
    uint32_t seen = conc_event_look(t->event);
    conc_semaphore_release(t->ready, 1);
    CHECK(conc_event_wait(t->event, seen, w->self, CONC_FOREVER) ==
          APR_SUCCESS);
    conc_semaphore_release(t->gone, 1);
    /* All must be gone before one looks again. */
    CHECK(conc_semaphore_acquire(t->again, w->self, CONC_FOREVER) ==
          APR_SUCCESS);
  }
}

static void take_all(conc_semaphore *s, conc_parker *self) {
  for (int i = 0; i < THREADS; i++)
    CHECK(conc_semaphore_acquire(s, self, CONC_FOREVER) == APR_SUCCESS);
}

static void test_event(void) {
  struct event_test t;
  worker w[THREADS];
  conc_parker *self = conc_parker_new();
  CHECK(conc_event_new(&t.event) == APR_SUCCESS);
  CHECK(conc_semaphore_new(&t.ready, &conc_semaphore_class, 0) == APR_SUCCESS);
  CHECK(conc_semaphore_new(&t.gone, &conc_semaphore_class, 0) == APR_SUCCESS);
  CHECK(conc_semaphore_new(&t.again, &conc_semaphore_class, 0) == APR_SUCCESS);
  start(w, THREADS, event_body, &t);
  for (int i = scaled(2000); i > 0; i--) {
    take_all(t.ready, self);
    conc_event_set(t.event);
    conc_event_clear(t.event);
    take_all(t.gone, self);
    conc_semaphore_release(t.again, THREADS);
  }
  join(w, THREADS);
  conc_parker_free(self);
  conc_release(&t.event->obj);
  conc_release(&t.ready->obj);
  conc_release(&t.gone->obj);
  conc_release(&t.again->obj);
}

/* Barrier: in each round everybody has a place of their own. */

struct barrier_test {
  conc_barrier *barrier;
  _Atomic int places; /* sum of all */
  int actions;        /* by the last of each round */
};

static apr_status_t barrier_wait(worker *w, struct barrier_test *t,
                                 conc_arrival *a, conc_time deadline) {
  apr_status_t st = conc_barrier_arrive(t->barrier, a, w->self);
  if (st != APR_SUCCESS)
    return st;
  if (!a->last)
    return conc_barrier_await(t->barrier, a, w->self, deadline);
  t->actions++;
  return conc_barrier_trip(t->barrier, a);
}

static void barrier_body(worker *w) {
  struct barrier_test *t = w->arg;
  conc_arrival a;
  for (int i = 1; i <= scaled(2000); i++) {
    CHECK(barrier_wait(w, t, &a, CONC_FOREVER) == APR_SUCCESS);
    atomic_fetch_add(&t->places, (int)a.place);
    CHECK(barrier_wait(w, t, &a, CONC_FOREVER) == APR_SUCCESS);
    CHECK(t->actions == 2 * i);
    CHECK(atomic_load(&t->places) == i * (THREADS * (THREADS + 1) / 2));
  }
}

static void test_barrier(void) {
  struct barrier_test t = {0};
  conc_msg none = {0};
  CHECK(conc_barrier_new(&t.barrier, THREADS, &none, 1e300) == APR_SUCCESS);
  together(barrier_body, &t);
  conc_release((conc_obj *)t.barrier);
}

/* A barrier that times out, is aborted and reset at random lets nobody hang. */

struct rough_test {
  struct barrier_test b;
  _Atomic int ended;
};

static void rough_round(worker *w, struct rough_test *t) {
  conc_arrival a;
  apr_status_t st = barrier_wait(w, &t->b, &a, some_deadline(w));
  CHECK(st == APR_SUCCESS || st == APR_TIMEUP || st == CONC_BROKEN ||
        cancelled(w, st));
  if (st != APR_SUCCESS && roll(w, 4) == 0)
    conc_barrier_reset(t->b.barrier);
  if (roll(w, 100) == 0)
    conc_barrier_abort(t->b.barrier);
}

static void rough_body(worker *w) {
  struct rough_test *t = w->arg;
  for (int i = scaled(5000); i > 0; i--) {
    tease(w);
    rough_round(w, t);
  }
  atomic_fetch_add(&t->ended, 1);
}

static void test_rough(void) {
  struct rough_test t = {0};
  conc_msg none = {0};
  worker w[THREADS];
  CHECK(conc_barrier_new(&t.b.barrier, 3, &none, 1e300) == APR_SUCCESS);
  start(w, THREADS, rough_body, &t);
  while (atomic_load(&t.ended) < THREADS) {
    usleep(300); /* the last ones have nobody to wait for any more */
    conc_barrier_reset(t.b.barrier);
  }
  join(w, THREADS);
  conc_barrier_reset(t.b.barrier);
  CHECK(conc_barrier_waiting(t.b.barrier) == 0);
  CHECK(!conc_barrier_broken(t.b.barrier));
  conc_release((conc_obj *)t.b.barrier);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_lock,    test_greedy, test_rlock,   test_conditions, test_semaphore,
    test_handful, test_event,  test_barrier, test_rough};
  const char *env = getenv("CONC_SCALE");
  if (env != NULL)
    scale = atof(env);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    alarm(WATCHDOG);
    tests[i]();
    CHECK(conc_obj_count() == 0);
  }
  return 0;
}
