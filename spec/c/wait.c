/*
 * What everything waits with (c/wait) and what is nearest to it (queues,
 * futures, carriers) under threads that time out, are cancelled and overtake
 * each other.  Each test counts what must come out even.  CONC_SCALE shrinks
 * the loops; `make test SYS=posix` tries the table of conditions that stands
 * in for a futex.
 */

#include <string.h>

#include "core/carrier.h"
#include "core/future.h"
#include "core/queue.h"
#include "wait/gate.h"
#include "wait/lot.h"
#include "wait/mutex.h"

#include "crew.h"

enum { WORDS = 3 };

/* A word: none of its wakes is lost between the comparison and the sleep. */

struct word_test {
  conc_word ping, pong;
};

static void wait_for(conc_word *w, uint32_t value) {
  uint32_t seen;
  while ((seen = atomic_load(w)) != value)
    conc_sys_wait(w, seen, -1);
}

static void word_body(worker *w) {
  struct word_test *t = w->arg;
  uint32_t n = (uint32_t)scaled(5000);
  for (uint32_t i = 1; i <= n; i++) {
    if (w->index == 1)
      wait_for(&t->ping, i);
    conc_word *mine = w->index == 0 ? &t->ping : &t->pong;
    atomic_store(mine, i);
    conc_sys_wake(mine, roll(w, 2) == 0);
    if (w->index == 0)
      wait_for(&t->pong, i);
  }
}

static void test_word(void) {
  struct word_test t = {0};
  worker w[2];
  start(w, 2, word_body, &t);
  join(w, 2);
  conc_time before = conc_sys_now();
  conc_sys_wait(&t.ping, 0, 1000000 * MICRO); /* it is not 0 */
  CHECK(conc_sys_now() - before < 900000 * MICRO);
}

/* The mutex: who holds it is alone. */

struct mutex_test {
  conc_word lock;
  int count;
};

static void mutex_body(worker *w) {
  struct mutex_test *t = w->arg;
  for (int i = scaled(50000); i > 0; i--) {
    conc_mutex_lock(&t->lock);
    t->count++;
    conc_mutex_unlock(&t->lock);
  }
}

static void test_mutex(void) {
  struct mutex_test t = {0};
  together(mutex_body, &t);
  CHECK(t.count == THREADS * scaled(50000));
}

/*
 * The lot: few words, many waits on one or more of them.  As many waits are
 * told that they were chosen as wakes say that they chose.
 */

struct lot_test {
  conc_word words[WORDS];
  _Atomic long counted, chosen;
  _Atomic int running;
};

static void lot_wait(worker *w, struct lot_test *t) {
  conc_waiter list[WORDS];
  size_t n = 1 + roll(w, WORDS), which = WORDS, at = roll(w, WORDS);
  memset(list, 0xa5, sizeof list); /* nothing but the inputs counts */
  for (size_t i = 0; i < n; i++) {
    list[i].word = &t->words[(at + i) % WORDS];
    list[i].expected = atomic_load(list[i].word);
  }
  apr_status_t st =
    n == 1 && roll(w, 2) == 0
      ? conc_wait(list[0].word, list[0].expected, w->self, some_deadline(w))
      : conc_wait_any(list, n, &which, w->self, some_deadline(w));
  if (st == APR_SUCCESS)
    atomic_fetch_add(&t->chosen, 1);
  else
    CHECK(st == APR_EAGAIN || st == APR_TIMEUP || cancelled(w, st));
  if (st == APR_EAGAIN && which != WORDS)
    CHECK(which < n && atomic_load(list[which].word) != list[which].expected);
}

static void lot_wake(worker *w, struct lot_test *t) {
  conc_word *word = &t->words[roll(w, WORDS)];
  size_t n = roll(w, 4);
  n = n == 3 ? CONC_ALL : n;
  atomic_fetch_add(word, 1);
  size_t found = conc_wake(word, n);
  CHECK(found <= n && found < THREADS);
  atomic_fetch_add(&t->counted, (long)found);
}

static void lot_body(worker *w) {
  struct lot_test *t = w->arg;
  for (int i = scaled(20000); i > 0; i--) {
    tease(w);
    if (roll(w, 2) == 0)
      lot_wait(w, t);
    else
      lot_wake(w, t);
  }
  atomic_fetch_sub(&t->running, 1);
}

static void test_lot(void) {
  struct lot_test t = {.running = THREADS};
  worker w[THREADS];
  start(w, THREADS, lot_body, &t);
  while (atomic_load(&t.running) > 0) {
    usleep(100); /* let go on who waits for ever */
    for (int i = 0; i < WORDS; i++) {
      atomic_fetch_add(&t.words[i], 1);
      atomic_fetch_add(&t.counted, (long)conc_wake(&t.words[i], CONC_ALL));
    }
  }
  join(w, THREADS);
  CHECK(atomic_load(&t.counted) == atomic_load(&t.chosen));
  for (int i = 0; i < WORDS; i++)
    CHECK(conc_wake(&t.words[i], CONC_ALL) == 0);
}

/* So many that waking all of them takes several batches. */

static void crowd_body(worker *w) {
  conc_waiter one = {.word = w->arg};
  size_t which;
  CHECK(conc_wait_any(&one, 1, &which, w->self, CONC_FOREVER) == APR_SUCCESS);
}

static void test_crowd(void) {
  enum { MANY = 100 };
  static worker w[MANY];
  conc_word word = 0;
  size_t woken = 0;
  start(w, MANY, crowd_body, &word);
  while (woken < MANY) {
    usleep(2000);
    size_t found = conc_wake(&word, CONC_ALL);
    CHECK(found <= MANY - woken);
    woken += found;
  }
  join(w, MANY);
}

/* The first wait of a thread that has never waited before misses no wake. */

struct first_test {
  conc_word round, word;
  conc_parker *made; /* a chain, of the sleeper */
};

static void first_sleeper(struct first_test *t, uint32_t i) {
  conc_parker *fresh = conc_parker_new(); /* they go back when all are done */
  CHECK(fresh != NULL);
  CHECK(atomic_load(&fresh->doomed) != atomic_load(&fresh->wait));
  atomic_store(&t->round, i);
  while (atomic_load(&t->word) != i) { /* it may be an earlier round's wake */
    conc_waiter one = {.word = &t->word, .expected = i - 1};
    size_t which;
    apr_status_t st = conc_wait_any(&one, 1, &which, fresh, CONC_FOREVER);
    CHECK(st == APR_SUCCESS || st == APR_EAGAIN);
  }
  fresh->next = t->made;
  t->made = fresh;
}

static void first_body(worker *w) {
  struct first_test *t = w->arg;
  uint32_t n = (uint32_t)scaled(20000);
  for (uint32_t i = 1; i <= n; i++) {
    if (w->index == 0) {
      first_sleeper(t, i);
      continue;
    }
    while (atomic_load(&t->round) != i)
      conc_sys_yield();
    busy(roll(w, 400));
    atomic_store(&t->word, i);
    conc_wake(&t->word, 1);
  }
}

static void test_first(void) {
  struct first_test t = {0};
  worker w[2];
  start(w, 2, first_body, &t);
  join(w, 2);
  while (t.made != NULL) {
    conc_parker *next = t.made->next;
    conc_parker_free(t.made);
    t.made = next;
  }
}

/* The gate: permits that are added one by one are all taken. */

struct gate_test {
  conc_gate gate;
  _Atomic int permits, taken, quit;
};

static bool has_permit(const void *arg) {
  const struct gate_test *t = arg;
  return atomic_load(&t->permits) > 0 || atomic_load(&t->quit) != 0;
}

static bool take_permit(struct gate_test *t) {
  int n = atomic_load(&t->permits);
  while (n > 0 && !atomic_compare_exchange_weak(&t->permits, &n, n - 1))
    continue;
  if (n > 1)
    conc_gate_notify(&t->gate);
  if (n > 0)
    atomic_fetch_add(&t->taken, 1);
  return n > 0;
}

static void gate_body(worker *w) {
  struct gate_test *t = w->arg;
  while (take_permit(t) || atomic_load(&t->quit) == 0) {
    tease(w);
    conc_time deadline = w->index % 2 == 0 ? CONC_FOREVER : soon(w);
    apr_status_t st =
      conc_gate_await(&t->gate, has_permit, t, w->self, deadline);
    CHECK(st == APR_SUCCESS || st == APR_TIMEUP || cancelled(w, st));
  }
}

static void test_gate(void) {
  struct gate_test t = {0};
  worker w[THREADS];
  start(w, THREADS, gate_body, &t);
  for (int i = 0, n = scaled(20000); i < n; i++) {
    atomic_fetch_add(&t.permits, 1);
    conc_gate_notify(&t.gate);
    if (i % 16 == 0) /* nobody else adds: this one must not be forgotten */
      while (atomic_load(&t.permits) != 0)
        conc_sys_yield();
  }
  atomic_store(&t.quit, 1);
  conc_gate_notify_all(&t.gate);
  join(w, THREADS);
  CHECK(atomic_load(&t.taken) == scaled(20000));
  CHECK(atomic_load(&t.gate.sleepers) == 0);
  CHECK(atomic_load(&t.gate.spinners) == 0);
}

/* Queues: every message once, through either end's waits, until the end. */

struct queue_test {
  conc_queue *queue;
  _Atomic long put, got, npushed, npopped;
  _Atomic int producers;
};

/* So many times its number is what a message says; some have a block. */
enum { SAYINGS = 8 };

static size_t sayings(long n) { return (size_t)n % SAYINGS + 1; }

static void queue_push(worker *w, struct queue_test *t, long n) {
  conc_msg m;
  long words[SAYINGS];
  for (int i = 0; i < SAYINGS; i++)
    words[i] = n;
  CHECK(conc_msg_make(&m, words, sayings(n) * sizeof n, NULL, 0) ==
        APR_SUCCESS);
  apr_status_t st =
    conc_queue_push(t->queue, &m, NULL, w->self, some_deadline(w));
  if (st == APR_SUCCESS) {
    atomic_fetch_add(&t->put, n);
    atomic_fetch_add(&t->npushed, 1);
  } else {
    CHECK(m.size == sayings(n) * sizeof n &&
          (st == APR_TIMEUP || cancelled(w, st)));
    conc_msg_fini(&m);
  }
}

static bool queue_pop(worker *w, struct queue_test *t) {
  conc_msg m;
  long words[SAYINGS], n;
  apr_status_t st =
    conc_queue_pop(t->queue, &m, NULL, w->self, some_deadline(w));
  if (st != APR_SUCCESS) {
    CHECK(st == CONC_CLOSED || st == APR_TIMEUP || cancelled(w, st));
    return st != CONC_CLOSED;
  }
  memcpy(words, conc_msg_data(&m), m.size);
  n = words[0];
  CHECK(m.size == sayings(n) * sizeof n);
  for (size_t i = sayings(n); i > 0; i--)
    CHECK(words[i - 1] == n);
  conc_msg_fini(&m);
  atomic_fetch_add(&t->got, n);
  atomic_fetch_add(&t->npopped, 1);
  CHECK(conc_queue_task_done(t->queue) == APR_SUCCESS);
  return true;
}

static void queue_body(worker *w) {
  struct queue_test *t = w->arg;
  if (w->index % 2 == 0) {
    for (int i = scaled(20000); i > 0; i--) {
      tease(w);
      queue_push(w, t, i);
    }
    if (atomic_fetch_sub(&t->producers, 1) == 1)
      conc_queue_shutdown(t->queue, false);
  } else {
    while (queue_pop(w, t))
      tease(w);
  }
}

static void test_queue(conc_queue_kind kind, size_t capacity) {
  struct queue_test t = {.producers = THREADS / 2};
  conc_parker *self = conc_parker_new();
  CHECK(conc_queue_new(&t.queue, kind, capacity) == APR_SUCCESS);
  together(queue_body, &t);
  CHECK(atomic_load(&t.put) == atomic_load(&t.got));
  CHECK(atomic_load(&t.npushed) == atomic_load(&t.npopped));
  CHECK(conc_queue_len(t.queue) == 0 && conc_queue_idle(t.queue) == 0);
  CHECK(conc_queue_join(t.queue, self, CONC_NOW) == APR_SUCCESS);
  CHECK(conc_queue_task_done(t.queue) == CONC_MISUSE);
  conc_parker_free(self);
  conc_release((conc_obj *)t.queue);
}

static void test_queues(void) {
  test_queue(CONC_QUEUE_FIFO, 0);
  test_queue(CONC_QUEUE_FIFO, 1);
  test_queue(CONC_QUEUE_FIFO, 100);
  test_queue(CONC_QUEUE_LIFO, 10);
}

/*
 * Bursts that end: as many messages as getters, and nobody comes by later who
 * could wake the one that was forgotten.
 */

struct burst_test {
  conc_queue *queue, *back;
};

static void burst_body(worker *w) {
  struct burst_test *t = w->arg;
  conc_msg m;
  while (conc_queue_pop(t->queue, &m, NULL, w->self, CONC_FOREVER) ==
         APR_SUCCESS)
    CHECK(conc_queue_push(t->back, &m, NULL, w->self, CONC_FOREVER) ==
          APR_SUCCESS);
}

static void test_burst(void) {
  struct burst_test t;
  worker w[THREADS];
  conc_parker *self = conc_parker_new();
  CHECK(conc_queue_new(&t.queue, CONC_QUEUE_FIFO, 0) == APR_SUCCESS);
  CHECK(conc_queue_new(&t.back, CONC_QUEUE_FIFO, 0) == APR_SUCCESS);
  start(w, THREADS, burst_body, &t);
  for (int i = scaled(5000); i > 0; i--) {
    conc_msg m = {0};
    for (int k = 0; k < 3; k++)
      CHECK(conc_queue_push(t.queue, &m, NULL, self, CONC_FOREVER) ==
            APR_SUCCESS);
    for (int k = 0; k < 3; k++)
      CHECK(conc_queue_pop(t.back, &m, NULL, self, CONC_FOREVER) ==
            APR_SUCCESS);
  }
  conc_queue_shutdown(t.queue, true);
  join(w, THREADS);
  conc_parker_free(self);
  conc_release((conc_obj *)t.queue);
  conc_release((conc_obj *)t.back);
}

/* Futures: run or cancelled, never both, and everybody hears of it. */

enum { FUTURES = 16 };

struct future_test {
  conc_future *futures[FUTURES];
  pthread_barrier_t round;
  _Atomic int ran, dropped;
};

static void future_end(worker *w, struct future_test *t, conc_future *f) {
  conc_msg m;
  if (roll(w, 4) == 0) {
    bool stopped = conc_future_cancel(f);
    CHECK(stopped == (conc_future_is(f) == CONC_FUTURE_CANCELLED));
  } else if (conc_future_start(f, NULL)) {
    CHECK(conc_msg_make(&m, &f, sizeof f, NULL, 0) == APR_SUCCESS);
    conc_future_finish(f, CONC_FUTURE_FINISHED, &m);
    atomic_fetch_add(&t->ran, 1);
  }
}

static void future_wait(worker *w, conc_future *f) {
  apr_status_t st;
  do
    st = conc_future_wait(f, w->self, some_deadline(w));
  while (st == APR_TIMEUP);
  CHECK(st == APR_SUCCESS && conc_future_done(f));
  if (conc_future_is(f) == CONC_FUTURE_FINISHED)
    CHECK(memcmp(conc_msg_data(&f->msg), &f, sizeof f) == 0);
}

/* Wait until the first of all of them is done. */
static void future_any(worker *w, struct future_test *t) {
  conc_waiter list[FUTURES];
  size_t n = 0, which;
  for (; n < FUTURES; n++) {
    list[n].word = &t->futures[n]->word;
    if (!conc_future_prepare(t->futures[n], &list[n].expected))
      return;
  }
  apr_status_t st = conc_wait_any(list, n, &which, w->self, CONC_FOREVER);
  CHECK((st == APR_SUCCESS || st == APR_EAGAIN) && which < n);
}

static void future_body(worker *w) {
  struct future_test *t = w->arg;
  for (int i = scaled(500); i > 0; i--) {
    if (w->index == 0)
      for (int k = 0; k < FUTURES; k++)
        CHECK(conc_future_new(&t->futures[k]) == APR_SUCCESS);
    pthread_barrier_wait(&t->round);
    if (w->index >= THREADS / 2)
      future_any(w, t);
    for (int k = 0; k < FUTURES; k++)
      if (w->index < THREADS / 2)
        future_end(w, t, t->futures[(k + w->index) % FUTURES]);
      else
        future_wait(w, t->futures[k]);
    pthread_barrier_wait(&t->round);
    for (int k = 0; w->index == 0 && k < FUTURES; k++) {
      CHECK(conc_future_done(t->futures[k]));
      if (conc_future_is(t->futures[k]) == CONC_FUTURE_CANCELLED)
        atomic_fetch_add(&t->dropped, 1);
      conc_release(&t->futures[k]->obj);
    }
  }
}

static void test_future(void) {
  struct future_test t = {0};
  CHECK(pthread_barrier_init(&t.round, NULL, THREADS) == 0);
  together(future_body, &t);
  CHECK(atomic_load(&t.ran) + atomic_load(&t.dropped) == FUTURES * scaled(500));
  pthread_barrier_destroy(&t.round);
}

/* Carriers: every job that was admitted runs, and no carrier is left. */

struct crew_test {
  conc_crew *crew;
  _Atomic int admitted, ran, prepared, discarded;
};

static void *crew_prepare(void *arg) {
  struct crew_test *t = arg;
  atomic_fetch_add(&t->prepared, 1);
  return arg;
}

static void crew_discard(void *prepared) {
  struct crew_test *t = prepared;
  atomic_fetch_add(&t->discarded, 1);
}

static void crew_job(void *arg, void *prepared, conc_parker *self) {
  struct crew_test *t = arg;
  conc_word never = 0;
  if (prepared != NULL)
    atomic_fetch_add(&t->discarded, 1); /* used up */
  (void)conc_wait(&never, 0, self, conc_sys_now() + 20 * MICRO);
  atomic_fetch_add(&t->ran, 1);
}

static void crew_body(worker *w) {
  struct crew_test *t = w->arg;
  for (int i = scaled(300); i > 0; i--) {
    conc_job job = {.run = crew_job, .arg = t};
    if (roll(w, 10) == 0)
      job.stack = 1 << 18;
    apr_status_t st = conc_crew_run(t->crew, &job);
    if (st == APR_SUCCESS)
      atomic_fetch_add(&t->admitted, 1);
    else
      CHECK(st == APR_EAGAIN);
    if (roll(w, 3) == 0)
      usleep(50);
  }
}

static void test_crew(void) {
  for (int round = 0; round < 3; round++) {
    struct crew_test t = {0};
    conc_crew_conf conf = {crew_prepare, crew_discard, &t};
    conc_parker *self = conc_parker_new();
    worker w[THREADS / 2];
    CHECK(conc_crew_new(&t.crew, &conf) == APR_SUCCESS);
    start(w, THREADS / 2, crew_body, &t);
    join(w, THREADS / 2);
    conc_crew_close(t.crew, self, CONC_FOREVER);
    CHECK(atomic_load(&t.ran) == atomic_load(&t.admitted));
    CHECK(atomic_load(&t.prepared) == atomic_load(&t.discarded));
    conc_job job = {.run = crew_job, .arg = &t};
    CHECK(conc_crew_run(t.crew, &job) == CONC_CLOSED);
    conc_crew_release(t.crew);
    conc_parker_free(self);
  }
}

/* A future that is given back time and again is stopped, or asked to. */

struct stop_test {
  conc_future *future;
  conc_word round, stopped;
};

static void forget(conc_runner *r) { (void)r; }
static void leave_home(conc_home *h, bool was_cancelled) {
  (void)h;
  (void)was_cancelled;
}

static void give_back_until_stopped(conc_future *f) {
  conc_runner runner = {forget};
  conc_msg nothing = {0};
  while (conc_future_start(f, &runner))
    if (!conc_future_unstart(f))
      (void)conc_future_finish(f, CONC_FUTURE_CANCELLED, &nothing);
}

static void stop_body(worker *w) {
  static conc_home home = {leave_home};
  struct stop_test *t = w->arg;
  uint32_t n = (uint32_t)scaled(20000);
  for (uint32_t i = 1; i <= n; i++) {
    if (w->index == 0) {
      CHECK(conc_future_new(&t->future) == APR_SUCCESS);
      t->future->home = &home;
      atomic_store(&t->round, i);
      conc_sys_wake(&t->round, true);
      give_back_until_stopped(t->future);
      wait_for(&t->stopped, i);
      CHECK(conc_future_is(t->future) == CONC_FUTURE_CANCELLED);
      conc_release(&t->future->obj);
      continue;
    }
    wait_for(&t->round, i);
    CHECK(conc_future_stop(t->future, CONC_ASK_CANCEL));
    atomic_store(&t->stopped, i);
    conc_sys_wake(&t->stopped, true);
  }
}

static void test_stop(void) {
  struct stop_test t = {0};
  worker w[2];
  start(w, 2, stop_body, &t);
  join(w, 2);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_word,  test_mutex,  test_lot,  test_crowd, test_gate, test_queues,
    test_burst, test_future, test_stop, test_crew,  test_first};
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
