/*
 * Semaphores, events and barriers under threads that time out, are cancelled
 * and overtake each other, at the level of c/core.
 */

#include "crew.h"

#include "core/barrier.h"
#include "core/event.h"
#include "core/semaphore.h"

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

/* An interrupted wait has taken nothing and owes nothing. */

static void interrupted_semaphore(conc_parker *self) {
  conc_semaphore *sem;
  CHECK(conc_semaphore_new(&sem, &conc_semaphore_class, 0) == APR_SUCCESS);
  CHECK(conc_semaphore_acquire(sem, self, CONC_FOREVER) == CONC_INTERRUPTED);
  conc_semaphore_release(sem, 1);
  CHECK(conc_semaphore_value(sem) == 1);
  conc_release(&sem->obj);
}

static void interrupted_barrier(conc_parker *self) {
  conc_barrier *b;
  conc_arrival a, last;
  conc_msg none = {0};
  CHECK(conc_barrier_new(&b, 2, &none, 1e300) == APR_SUCCESS);
  CHECK(conc_barrier_arrive(b, &a, self) == APR_SUCCESS && !a.last);
  CHECK(conc_barrier_await(b, &a, self, CONC_FOREVER) == CONC_INTERRUPTED);
  CHECK(conc_barrier_waiting(b) == 1);
  conc_barrier_quit(b, &a, self);
  CHECK(conc_barrier_broken(b) && conc_barrier_waiting(b) == 0);
  conc_barrier_reset(b);
  /* The same, and the round ends well while the interrupt is dealt with. */
  CHECK(conc_barrier_arrive(b, &a, self) == APR_SUCCESS && !a.last);
  CHECK(conc_barrier_await(b, &a, self, CONC_FOREVER) == CONC_INTERRUPTED);
  CHECK(conc_barrier_arrive(b, &last, self) == APR_SUCCESS && last.last);
  CHECK(conc_barrier_arrive(b, &last, self) == CONC_MISUSE);
  CHECK(conc_barrier_trip(b, &last) == APR_SUCCESS);
  CHECK(conc_barrier_await(b, &a, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(a.place == 1 && last.place == 2);
  conc_release((conc_obj *)b);
}

static void test_interrupted(void) {
  conc_parker *self = conc_parker_interrupted();
  interrupted_semaphore(self);
  interrupted_barrier(self);
  conc_parker_free(self);
}

int main(void) {
  static void (*const tests[])(void) = {test_semaphore, test_handful,
                                        test_event,     test_barrier,
                                        test_rough,     test_interrupted};
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
