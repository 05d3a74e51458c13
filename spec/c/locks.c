/*
 * Locks and conditions under threads that time out, are cancelled and overtake
 * each other, at the level of c/core.  Each test counts what must come out
 * even.
 */

#include "crew.h"

#include "core/condition.h"
#include "core/lock.h"
#include "core/rlock.h"

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

/* An interrupted wait has taken nothing and owes nothing. */

static void interrupted_lock(conc_parker *self) {
  conc_lock *lock;
  CHECK(conc_lock_new(&lock) == APR_SUCCESS);
  CHECK(conc_lock_acquire(lock, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(conc_lock_acquire(lock, self, CONC_FOREVER) == CONC_INTERRUPTED);
  CHECK(conc_lock_release(lock) == APR_SUCCESS);
  CHECK(!conc_lock_locked(lock));
  conc_release(&lock->obj);
}

static void interrupted_condition(conc_parker *self) {
  conc_condition *cond;
  CHECK(conc_condition_new(&cond, NULL) == APR_SUCCESS);
  for (int i = 0; i < 3; i++)
    CHECK(conc_condition_acquire(cond, self, CONC_NOW) == APR_SUCCESS);
  CHECK(conc_condition_wait(cond, self, CONC_FOREVER) == CONC_INTERRUPTED);
  CHECK(conc_condition_notify(cond, 1, self) == APR_SUCCESS);
  for (int i = 0; i < 3; i++)
    CHECK(conc_condition_release(cond, self) == APR_SUCCESS);
  CHECK(!conc_condition_locked(cond));
  conc_release((conc_obj *)cond);
}

static void test_interrupted(void) {
  conc_parker *self = conc_parker_interrupted();
  interrupted_lock(self);
  interrupted_condition(self);
  conc_parker_free(self);
}

int main(void) {
  static void (*const tests[])(void) = {test_lock, test_greedy, test_rlock,
                                        test_conditions, test_interrupted};
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
