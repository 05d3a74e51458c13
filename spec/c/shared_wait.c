/*
 * Waiting on words of shared memory, of c/sys alone: nobody looks again by
 * himself here, so a wake that is lost is a hang.
 */

#include "family.h"

#include "ipc/parcel.h"
#include "sys/shm.h"

enum { CROWD = 100, DOOMED = 40 };

typedef struct table {
  conc_word ping, pong;   /* the round */
  conc_word gate, asleep; /* who waits for the gate */
} table;

static conc_proxy *box;

static table *in(const conc_proxy *p) {
  return (table *)(void *)conc_parcel_bytes(conc_parcel_of(p));
}

static void await(conc_word *w, uint32_t round) {
  for (uint32_t v; (v = atomic_load(w)) != round;)
    conc_sys_wait_shared(w, v, -1);
}

static void say(conc_word *w, uint32_t round) {
  atomic_store(w, round);
  (void)conc_sys_wake_shared(w, true);
}

/* ---- Two processes ---- */

static void play_pong(uint64_t at, uint64_t rounds) {
  conc_proxy *p;
  CHECK(conc_shared_get(&p, at) == APR_SUCCESS);
  for (uint32_t i = 1; i <= rounds; i++) {
    await(&in(p)->ping, i);
    say(&in(p)->pong, i);
  }
}

static void test_ping_pong(void) {
  uint32_t rounds = (uint32_t)scaled(20000);
  table *t = in(box);
  atomic_store(&t->ping, 0);
  atomic_store(&t->pong, 0);
  uint64_t pid = family_start("pong", conc_proxy_offset(box), rounds);
  for (uint32_t i = 1; i <= rounds; i++) {
    say(&t->ping, i);
    await(&t->pong, i);
  }
  family_good(pid);
}

/* ---- Many threads ---- */

static void pass(worker *w) {
  table *t = w->arg;
  (void)atomic_fetch_add(&t->asleep, 1);
  while (atomic_load(&t->gate) == 0)
    conc_sys_wait_shared(&t->gate, 0, -1);
}

static void crowd(table *t) {
  worker w[CROWD];
  atomic_store(&t->asleep, 0);
  atomic_store(&t->gate, 0);
  start(w, CROWD, pass, t);
  while (atomic_load(&t->asleep) < CROWD)
    conc_sys_yield();
  if (rnd(2) == 0) /* else some are just about to sleep */
    conc_sys_wait(&(conc_word){0}, 0, (conc_time)rnd(2000) * MICRO);
  say(&t->gate, 1);
  join(w, CROWD);
}

static void test_crowd(void) {
  for (int i = scaled(100); i > 0; i--)
    crowd(in(box));
}

/* ---- Sleepers that were killed ---- */

static void play_doomed(uint64_t at, uint64_t unused) {
  conc_proxy *p;
  worker w[DOOMED];
  (void)unused;
  CHECK(conc_shared_get(&p, at) == APR_SUCCESS);
  start(w, DOOMED, pass, in(p));
  join(w, DOOMED);
}

/* They take no room from others, and no wake. */
static void test_killed(void) {
  table *t = in(box);
  for (int i = 0; i < 4; i++) {
    atomic_store(&t->asleep, 0);
    atomic_store(&t->gate, 0);
    uint64_t pid = family_start("doomed", conc_proxy_offset(box), 0);
    while (atomic_load(&t->asleep) < DOOMED)
      conc_sys_yield();
    conc_sys_wait(&(conc_word){0}, 0, 2000 * MICRO);
    family_kill(pid);
    CHECK(family_killed(family_wait(pid)));
    crowd(t);
  }
}

int main(int argc, char **argv) {
  static const struct family_role roles[] = {
    {"pong", play_pong}, {"doomed", play_doomed}, {NULL, NULL}};
  static void (*const tests[])(void) = {test_ping_pong, test_crowd,
                                        test_killed};
  family_main(argc, argv, roles);
  CHECK(conc_heap_open() == APR_SUCCESS);
  CHECK(conc_parcel_new(&box, sizeof(table), 0) == APR_SUCCESS);
  conc_shared_publish(box);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    watchdog(WATCHDOG);
    tests[i]();
  }
  conc_release(&box->obj);
  return 0;
}
