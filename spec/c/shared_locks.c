/*
 * Locks and their kin in shared memory, between processes of which some are
 * killed: at every step of what they do, and at random while others wait.
 */

#include "family.h"

#include "ipc/sbarrier.h"
#include "ipc/scondition.h"
#include "ipc/sevent.h"
#include "ipc/slock.h"
#include "ipc/srlock.h"
#include "ipc/ssemaphore.h"
#include "ipc/step.h"

static conc_parker *self;

static void *get(uint64_t offset) {
  conc_proxy *p;
  CHECK(conc_shared_get(&p, offset) == APR_SUCCESS);
  return p;
}

static uint64_t offset_of(const void *object) {
  return conc_proxy_offset(object);
}

/* ---- A lock: held by one; after a death it is told, once ---- */

/* What the victim was doing: see it in 'stage', an Event that it sets inside. */
static void play_lock(uint64_t at, uint64_t step) {
  conc_slock *lock = get(at);
  conc_step_die((uint32_t)step);
  for (int i = 0; i < 3; i++) {
    CHECK(conc_slock_acquire(lock, self, CONC_FOREVER) == APR_SUCCESS);
    conc_step();
    CHECK(conc_slock_release(lock) == APR_SUCCESS);
    conc_step();
  }
  conc_release(&lock->proxy.obj);
}

/* The victim holds it after its odd steps. */
static void test_lock(void) {
  conc_slock *lock;
  CHECK(conc_slock_new(&lock) == APR_SUCCESS);
  conc_heap_usage before = conc_heap_used();
  int told = 0;
  bool killed = true;
  for (uint64_t step = 1; killed; step++) {
    killed =
      family_killed(family_wait(family_start("lock", offset_of(lock), step)));
    apr_status_t st = conc_slock_acquire(lock, self, CONC_FOREVER);
    CHECK(st == APR_SUCCESS || st == CONC_ABANDONED);
    told += st == CONC_ABANDONED;
    CHECK(conc_slock_release(lock) == APR_SUCCESS);
    CHECK(conc_slock_acquire(lock, self, CONC_NOW) == APR_SUCCESS);
    CHECK(conc_slock_release(lock) == APR_SUCCESS);
    CHECK(same_usage(before));
  }
  CHECK(told == 3);
  conc_release(&lock->proxy.obj);
}

/* A try, too, gets what the dead have left. */
static void test_try(void) {
  conc_slock *lock;
  CHECK(conc_slock_new(&lock) == APR_SUCCESS);
  (void)family_wait(family_start("lock", offset_of(lock), 1));
  CHECK(conc_slock_locked(lock));
  CHECK(conc_slock_acquire(lock, self, CONC_NOW) == CONC_ABANDONED);
  CHECK(conc_slock_acquire(lock, self, CONC_NOW) == APR_TIMEUP);
  CHECK(conc_slock_release(lock) == APR_SUCCESS);
  conc_release(&lock->proxy.obj);
}

/* An RLock, three levels deep. */
static void play_rlock(uint64_t at, uint64_t step) {
  conc_srlock *lock = get(at);
  conc_step_die((uint32_t)step);
  for (int i = 0; i < 3; i++) {
    CHECK(conc_srlock_acquire(lock, self, CONC_FOREVER) == APR_SUCCESS);
    conc_step();
  }
  for (int i = 0; i < 3; i++)
    CHECK(conc_srlock_release(lock, self) == APR_SUCCESS);
  CHECK(conc_srlock_release(lock, self) == CONC_MISUSE);
  conc_release(&lock->proxy.obj);
}

static void test_rlock(void) {
  conc_srlock *lock;
  CHECK(conc_srlock_new(&lock) == APR_SUCCESS);
  for (uint64_t step = 0; step < 4; step++) {
    bool killed =
      family_killed(family_wait(family_start("rlock", offset_of(lock), step)));
    CHECK(killed == (step != 0));
    CHECK(conc_srlock_release(lock, self) == CONC_MISUSE);
    CHECK(conc_srlock_acquire(lock, self, CONC_FOREVER) ==
          (killed ? CONC_ABANDONED : APR_SUCCESS));
    CHECK(conc_srlock_acquire(lock, self, CONC_NOW) == APR_SUCCESS);
    CHECK(conc_srlock_release(lock, self) == APR_SUCCESS);
    CHECK(conc_srlock_locked(lock));
    CHECK(conc_srlock_release(lock, self) == APR_SUCCESS);
    CHECK(!conc_srlock_locked(lock));
  }
  conc_release(&lock->proxy.obj);
}

/* ---- A condition: whoever lives can be told ---- */

static void play_condition(uint64_t at, uint64_t step) {
  conc_scondition *c = get(at);
  conc_step_die((uint32_t)step);
  CHECK(conc_scondition_acquire(c, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(conc_scondition_wait(c, self, conc_sys_now() + 20000 * MICRO) ==
        APR_TIMEUP);
  CHECK(conc_scondition_notify(c, SIZE_MAX, self) == APR_SUCCESS);
  CHECK(conc_scondition_release(c, self) == APR_SUCCESS);
  conc_release(&c->proxy.obj);
}

/* Waits until it is told 'stop'. */
struct waiting {
  conc_scondition *c;
  bool stop; /* under its lock */
  _Atomic int inside;
};

static void wait_body(worker *w) {
  struct waiting *t = w->arg;
  apr_status_t st = conc_scondition_acquire(t->c, w->self, CONC_FOREVER);
  CHECK(st == APR_SUCCESS || st == CONC_ABANDONED);
  atomic_fetch_add(&t->inside, 1);
  while (!t->stop)
    CHECK(conc_scondition_wait(t->c, w->self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(conc_scondition_release(t->c, w->self) == APR_SUCCESS);
}

static void test_condition(void) {
  conc_scondition *c;
  CHECK(conc_scondition_new(&c, NULL) == APR_SUCCESS);
  conc_heap_usage before = conc_heap_used();
  bool killed = true;
  uint64_t step = 1;
  for (; killed; step = family_next(step)) {
    struct waiting t = {.c = c};
    worker w[2];
    start(w, 2, wait_body, &t);
    while (atomic_load(&t.inside) < 2)
      conc_sys_yield();
    killed =
      family_killed(family_wait(family_start("condition", offset_of(c), step)));
    apr_status_t st = conc_scondition_acquire(c, self, CONC_FOREVER);
    CHECK(st == APR_SUCCESS || st == CONC_ABANDONED);
    t.stop = true;
    CHECK(conc_scondition_notify(c, 2, self) == APR_SUCCESS);
    CHECK(conc_scondition_release(c, self) == APR_SUCCESS);
    join(w, 2);
    CHECK(same_usage(before));
  }
  CHECK(step > 30);
  conc_release(&c->proxy.obj);
}

/* ---- A barrier: good or broken, for all that live, and usable again ---- */

static apr_status_t meet(conc_sbarrier *b, conc_parker *p) {
  conc_sarrival a;
  apr_status_t st = conc_sbarrier_arrive(b, &a, p);
  if (st != APR_SUCCESS)
    return st;
  conc_step();
  return a.last ? conc_sbarrier_trip(b, &a)
                : conc_sbarrier_await(b, &a, p, CONC_FOREVER);
}

static void play_barrier(uint64_t at, uint64_t step) {
  conc_sbarrier *b = get(at);
  conc_step_die((uint32_t)step);
  (void)meet(b, self);
  (void)meet(b, self);
  conc_release((conc_obj *)b);
}

struct meeting {
  conc_sbarrier *b;
  conc_word go; /* the victim has ended */
  conc_word done;
};

/* Meets the victim, until it is gone. */
static void meet_body(worker *w) {
  struct meeting *t = w->arg;
  while (atomic_load(&t->go) == 0) {
    apr_status_t st = meet(t->b, w->self);
    CHECK(st == APR_SUCCESS || st == CONC_BROKEN);
    if (st == CONC_BROKEN)
      break;
  }
  atomic_store(&t->done, 1);
}

static bool barrier_dies_at(conc_sbarrier *b, uint64_t step) {
  struct meeting t = {.b = b};
  worker w[2];
  conc_heap_usage before = conc_heap_used();
  start(w, 1, meet_body, &t);
  bool killed =
    family_killed(family_wait(family_start("barrier", offset_of(b), step)));
  atomic_store(&t.go, 1);
  for (; atomic_load(&t.done) == 0; usleep(1000))
    conc_sbarrier_abort(b); /* it may have died before it came, or later */
  join(w, 1);
  conc_sbarrier_reset(b);
  CHECK(!conc_sbarrier_broken(b));
  CHECK(conc_sbarrier_waiting(b) == 0);
  CHECK(same_usage(before));
  return killed;
}

static void test_barrier(void) {
  conc_sbarrier *b;
  CHECK(conc_sbarrier_new(&b, 2, 1e9) == APR_SUCCESS);
  uint64_t step = 1;
  while (barrier_dies_at(b, step))
    step = family_next(step);
  CHECK(step > 30);
  conc_release((conc_obj *)b);
}

/*
 * Whoever waits for a process that has died in the line, or in the action, is
 * told, although nobody but he notices the death.
 */

static void play_in_line(uint64_t at, uint64_t unused) {
  (void)unused;
  (void)meet(get(at), self);
}

static void play_in_action(uint64_t at, uint64_t unused) {
  conc_sarrival a;
  (void)unused;
  CHECK(conc_sbarrier_arrive(get(at), &a, self) == APR_SUCCESS && a.last);
  for (;;)
    conc_sys_yield();
}

static void loses(const char *what, uint32_t parties, bool first) {
  conc_sbarrier *b;
  struct meeting t = {0};
  worker w[1];
  CHECK(conc_sbarrier_new(&b, parties, 1e9) == APR_SUCCESS);
  t.b = b;
  uint64_t pid = first ? family_start(what, offset_of(b), 0) : 0;
  while (conc_sbarrier_waiting(b) != first)
    conc_sys_yield();
  start(w, 1, meet_body, &t);
  while (conc_sbarrier_waiting(b) != 1 + (uint32_t)first)
    conc_sys_yield();
  if (!first)
    pid = family_start(what, offset_of(b), 0);
  while (conc_sbarrier_waiting(b) != 2)
    conc_sys_yield();
  family_kill(pid);
  (void)conc_sys_reap(pid);
  join(w, 1);
  CHECK(conc_sbarrier_broken(b));
  conc_release((conc_obj *)b);
}

static void test_barrier_loses(void) {
  loses("in_line", 3, true);
  loses("in_action", 2, false);
}

/* ---- A semaphore gets back what the dead had taken ---- */

static void play_semaphore(uint64_t at, uint64_t step) {
  conc_ssemaphore *s = get(at);
  conc_step_die((uint32_t)step);
  for (int i = 0; i < 2; i++) {
    CHECK(conc_ssemaphore_try(s) == APR_SUCCESS);
    conc_step();
    CHECK(conc_ssemaphore_try(s) == APR_SUCCESS);
    conc_step();
    CHECK(conc_ssemaphore_release(s, 2) == APR_SUCCESS);
    conc_step();
  }
  conc_release(&s->proxy.obj);
}

/* All of them, and the word only if there was something to give back. */
static void test_semaphore(void) {
  enum { MOST = 3 };
  conc_ssemaphore *s;
  CHECK(conc_ssemaphore_new(&s, &conc_sbounded_class, MOST) == APR_SUCCESS);
  CHECK(conc_ssemaphore_try(s) == APR_SUCCESS);
  conc_heap_usage before = conc_heap_used();
  bool killed = true;
  int told = 0;
  for (uint64_t step = 1; killed; step++) {
    killed =
      family_killed(family_wait(family_start("semaphore", offset_of(s), step)));
    conc_heap_bury();
    CHECK(same_usage(before));
    CHECK(conc_ssemaphore_value(s) == MOST - 1);
    apr_status_t st = conc_ssemaphore_try(s);
    CHECK(st == APR_SUCCESS || st == CONC_ABANDONED);
    told += st == CONC_ABANDONED;
    CHECK(conc_ssemaphore_try(s) == APR_SUCCESS);
    CHECK(conc_ssemaphore_try(s) == APR_EAGAIN);
    CHECK(conc_ssemaphore_release(s, 2) == APR_SUCCESS);
  }
  CHECK(told >= 4 && conc_ssemaphore_value(s) == MOST - 1);
  conc_release(&s->proxy.obj);
}

/* ---- A permit is not lost with somebody who was only woken for it ---- */

static void play_permit(uint64_t at, uint64_t unused) {
  conc_ssemaphore *s = get(at);
  (void)unused;
  for (;;) {
    CHECK(conc_ssemaphore_acquire(s, self, CONC_FOREVER) == APR_SUCCESS);
    CHECK(conc_ssemaphore_release(s, 1) == APR_SUCCESS);
  }
}

/*
 * One of those who wait is killed when the permit comes.  Another one gets it,
 * and at last it is here again; unless it was taken by the one who died.
 */
static void test_permit(void) {
  enum { MANY = 3 };
  conc_ssemaphore *s;
  uint64_t pid[MANY];
  CHECK(conc_ssemaphore_new(&s, &conc_ssemaphore_class, 0) == APR_SUCCESS);
  for (int i = 0; i < MANY; i++)
    pid[i] = family_start("permit", offset_of(s), 0);
  for (int kills = scaled(40); kills > 0; kills--) {
    uint32_t i = rnd(MANY);
    family_pause(5000);
    CHECK(conc_ssemaphore_release(s, 1) == APR_SUCCESS);
    busy(rnd(20) * MICRO);
    family_kill(pid[i]);
    CHECK(family_killed(family_wait(pid[i])));
    conc_time until = conc_sys_now() + 1500000 * MICRO;
    if (conc_ssemaphore_acquire(s, self, until) != APR_SUCCESS)
      CHECK(conc_ssemaphore_value(s) == 0); /* it went with the dead */
    pid[i] = family_start("permit", offset_of(s), 0);
  }
  for (int i = 0; i < MANY; i++) {
    family_kill(pid[i]);
    (void)family_wait(pid[i]);
  }
  conc_release(&s->proxy.obj);
}

/* ---- Threads and processes together, nobody dies ---- */

struct ping {
  conc_sevent *ping, *pong;
};

static void play_pong(uint64_t ping, uint64_t pong) {
  struct ping t = {get(ping), get(pong)};
  for (int i = scaled(5000); i > 0; i--) {
    CHECK(conc_sevent_wait(t.ping, conc_sevent_look(t.ping), self,
                           CONC_FOREVER) == APR_SUCCESS);
    conc_sevent_clear(t.ping);
    conc_sevent_set(t.pong);
  }
}

static void test_events(void) {
  struct ping t;
  CHECK(conc_sevent_new(&t.ping) == APR_SUCCESS);
  CHECK(conc_sevent_new(&t.pong) == APR_SUCCESS);
  uint64_t pid = family_start("pong", offset_of(t.ping), offset_of(t.pong));
  for (int i = scaled(5000); i > 0; i--) {
    conc_sevent_set(t.ping);
    CHECK(conc_sevent_wait(t.pong, conc_sevent_look(t.pong), self,
                           CONC_FOREVER) == APR_SUCCESS);
    conc_sevent_clear(t.pong);
  }
  family_good(pid);
  conc_release(&t.ping->proxy.obj);
  conc_release(&t.pong->proxy.obj);
}

/* Conditions under threads: each notify of somebody makes one wait succeed. */

struct counted {
  conc_scondition *cond;
  int inside, owed; /* waits begun; those of them that were notified */
  int running;
};

static void enter(struct counted *t, conc_parker *p) {
  while (conc_scondition_acquire(t->cond, p, CONC_FOREVER) != APR_SUCCESS)
    atomic_store(&p->cancel, 0);
}

static void leave(struct counted *t, conc_parker *p) {
  CHECK(conc_scondition_release(t->cond, p) == APR_SUCCESS);
}

static void notify(struct counted *t, int n, conc_parker *p) {
  int deaf = t->inside - t->owed;
  CHECK(conc_scondition_notify(t->cond, (size_t)n, p) == APR_SUCCESS);
  t->owed += n < deaf ? n : deaf;
}

static void counted_body(worker *w) {
  struct counted *t = w->arg;
  for (int i = scaled(3000); i > 0; i--) {
    tease(w);
    enter(t, w->self);
    if (roll(w, 2) == 0) {
      t->inside++;
      apr_status_t st =
        conc_scondition_wait(t->cond, w->self, some_deadline(w));
      t->inside--;
      if (st == APR_SUCCESS)
        CHECK(t->owed-- > 0);
      else
        CHECK(cancelled(w, st) || st == APR_TIMEUP);
    } else {
      notify(t, (int)roll(w, 3), w->self);
    }
    leave(t, w->self);
  }
  enter(t, w->self);
  t->running--;
  leave(t, w->self);
}

static void test_counted(void) {
  struct counted t = {.running = THREADS};
  worker w[THREADS];
  CHECK(conc_scondition_new(&t.cond, NULL) == APR_SUCCESS);
  start(w, THREADS, counted_body, &t);
  for (int running = 1; running > 0; usleep(100)) {
    enter(&t, self);
    running = t.running;
    notify(&t, 1, self);
    leave(&t, self);
  }
  join(w, THREADS);
  CHECK(t.inside == 0 && t.owed == 0);
  conc_release(&t.cond->proxy.obj);
}

/* Barriers under threads: rounds, resets, aborts, cancellations. */

struct rounds {
  conc_sbarrier *b;
  _Atomic int sum, good, done;
};

static void rounds_body(worker *w) {
  struct rounds *t = w->arg;
  for (int i = scaled(2000); i > 0; i--) {
    conc_sarrival a;
    apr_status_t st = conc_sbarrier_arrive(t->b, &a, w->self);
    if (st == APR_SUCCESS && a.last && roll(w, 16) == 0) {
      conc_sbarrier_quit(t->b, &a);
      st = CONC_BROKEN;
    } else if (st == APR_SUCCESS) {
      st = a.last ? conc_sbarrier_trip(t->b, &a)
                  : conc_sbarrier_await(t->b, &a, w->self, some_deadline(w));
    }
    CHECK(a.turn == NULL);
    if (st == APR_SUCCESS) {
      atomic_fetch_add(&t->sum, (int)a.place);
      atomic_fetch_add(&t->good, 1);
      continue;
    }
    CHECK(st == CONC_BROKEN || st == APR_TIMEUP || cancelled(w, st));
    if (roll(w, 4) == 0)
      conc_sbarrier_reset(t->b);
    tease(w);
  }
  atomic_fetch_add(&t->done, 1);
}

/* In each good round everybody has a place of his own: 1 + 2 for two. */
static void test_rounds(void) {
  struct rounds t = {0};
  CHECK(conc_sbarrier_new(&t.b, 2, 1e9) == APR_SUCCESS);
  conc_heap_usage before = conc_heap_used();
  worker w[THREADS];
  start(w, THREADS, rounds_body, &t);
  for (; atomic_load(&t.done) < THREADS; usleep(1000))
    conc_sbarrier_reset(t.b);
  join(w, THREADS);
  CHECK(2 * atomic_load(&t.sum) == 3 * atomic_load(&t.good));
  CHECK(atomic_load(&t.good) > 0);
  CHECK(same_usage(before));
  conc_release((conc_obj *)t.b);
}

int main(int argc, char **argv) {
  static const struct family_role roles[] = {
    {"lock", play_lock},           {"rlock", play_rlock},
    {"condition", play_condition}, {"barrier", play_barrier},
    {"in_line", play_in_line},     {"in_action", play_in_action},
    {"permit", play_permit},       {"semaphore", play_semaphore},
    {"pong", play_pong},           {NULL, NULL}};
  static void (*const tests[])(void) = {
    test_lock,    test_try,           test_rlock,     test_condition,
    test_barrier, test_barrier_loses, test_semaphore, test_permit,
    test_events,  test_counted,       test_rounds};
  self = conc_parker_new();
  CHECK(self != NULL);
  family_main(argc, argv, roles);
  CHECK(conc_heap_open() == APR_SUCCESS);
  run_tests(tests, sizeof tests / sizeof *tests);
  conc_parker_free(self);
  return 0;
}
