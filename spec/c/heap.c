/*
 * The shared heap, between real processes that are killed: at every single
 * step of what they do, and at random.
 */

#include "family.h"

#include "ipc/parcel.h"
#include "ipc/robust.h"
#include "ipc/step.h"
#include "ipc/txn.h"
#include "ipc/word.h"

static conc_proxy *parcel(size_t size, uint32_t nrefs) {
  conc_proxy *p;
  CHECK(conc_parcel_new(&p, size, nrefs) == APR_SUCCESS);
  conc_shared_publish(p);
  return p;
}

static conc_parcel *in(const conc_proxy *p) { return conc_parcel_of(p); }

/* ---- Blocks ---- */

enum { BLOCKS = 300 };

static size_t some_size(void) {
  switch (rnd(4)) {
  case 0: return rnd(200);
  case 1: return rnd(9000);
  case 2: return rnd(100000);
  default: return 1 + rnd(64);
  }
}

/* Blocks keep what is written to them, and all memory comes back. */
static void test_blocks(void) {
  static conc_ref *place[BLOCKS];
  static unsigned char with[BLOCKS];
  static size_t size[BLOCKS];
  CHECK(conc_heap_open() == APR_SUCCESS);
  for (int i = 0; i < BLOCKS; i++)
    CHECK((place[i] = conc_ledger_get()) != NULL);
  conc_heap_usage before = conc_heap_used();
  for (int i = scaled(30000); i > 0; i--) {
    uint32_t k = rnd(BLOCKS);
    uint64_t at = atomic_load(place[k]);
    if (at == 0) {
      size[k] = some_size();
      with[k] = (unsigned char)rnd(256);
      CHECK(conc_heap_alloc(place[k], size[k]) == APR_SUCCESS);
      at = atomic_load(place[k]);
      CHECK(at % 64 == 0 && conc_heap_size(at) >= size[k]);
      memset(conc_heap_at(at), with[k], conc_heap_size(at));
    } else {
      const unsigned char *p = conc_heap_at(at);
      for (size_t b = 0; b < conc_heap_size(at); b++)
        CHECK(p[b] == with[k]);
      conc_heap_free(place[k]);
    }
  }
  for (int i = 0; i < BLOCKS; i++) {
    if (atomic_load(place[i]) != 0)
      conc_heap_free(place[i]);
    conc_ledger_put(place[i]);
  }
  CHECK(same_usage(before));
}

static void test_exhausted(void) {
  conc_ref *place = conc_ledger_get();
  conc_heap_usage before = conc_heap_used();
  CHECK(conc_heap_alloc(place, SIZE_MAX) == CONC_EXHAUSTED);
  CHECK(conc_heap_alloc(place, SIZE_MAX / 2) == CONC_EXHAUSTED);
  CHECK(atomic_load(place) == 0);
  CHECK(same_usage(before));
  conc_ledger_put(place);
}

/* ---- Objects ---- */

static void test_objects(void) {
  conc_heap_usage before = conc_heap_used();
  conc_proxy *inner = parcel(100, 0), *outer = parcel(10, 2), *met;
  uint64_t at = conc_proxy_offset(inner);
  conc_shared_put(&in(outer)->refs[0], inner);
  conc_shared_put(&in(outer)->refs[1], inner);
  CHECK(conc_shared_get(&met, at) == APR_SUCCESS);
  CHECK(met == inner); /* one proxy a process */
  conc_release(&met->obj);
  conc_release(&inner->obj); /* the outer one still holds it */
  CHECK(conc_shared_get(&met, at) == APR_SUCCESS);
  CHECK(in(met)->size == 100);
  conc_release(&met->obj);
  conc_shared_drop(&in(outer)->refs[1]);
  CHECK(conc_heap_valid(at));
  conc_release(&outer->obj);
  CHECK(!conc_heap_valid(at));
  CHECK(same_usage(before));
}

/* A long chain goes without recursion, also when memory is short. */
static void test_chain(void) {
  conc_heap_usage before = conc_heap_used();
  conc_proxy *head = NULL;
  for (int i = 0; i < 100000; i++) {
    conc_proxy *p = parcel(0, 1);
    if (head != NULL) {
      conc_shared_put(&in(p)->refs[0], head);
      conc_release(&head->obj);
    }
    head = p;
  }
  conc_release(&head->obj);
  CHECK(same_usage(before));
}

static void test_nonsense(void) {
  conc_proxy *p = parcel(0, 0), *met;
  uint64_t at = conc_proxy_offset(p);
  CHECK(conc_shared_get(&met, at + 8) == CONC_CORRUPT);
  CHECK(conc_shared_get(&met, at + 64) == CONC_CORRUPT);
  CHECK(conc_shared_get(&met, 0) == CONC_CORRUPT);
  CHECK(conc_shared_get(&met, 64) == CONC_CORRUPT);
  CHECK(conc_shared_get(&met, UINT64_MAX) == CONC_CORRUPT);
  CHECK(conc_shared_get(&met, (uint64_t)1 << 50) == CONC_CORRUPT);
  conc_release(&p->obj);
  CHECK(conc_shared_get(&met, at) == CONC_CORRUPT);
}

/* Threads meet and lose one object: the count comes out even. */

static void meet_body(worker *w) {
  const uint64_t at = *(uint64_t *)w->arg;
  for (int i = scaled(20000); i > 0; i--) {
    conc_proxy *p;
    CHECK(conc_shared_get(&p, at) == APR_SUCCESS);
    CHECK(conc_proxy_offset(p) == at);
    conc_release(&p->obj);
  }
}

static void test_meeting(void) {
  conc_heap_usage before = conc_heap_used();
  conc_ref *place = conc_ledger_get();
  conc_proxy *p = parcel(8, 0);
  uint64_t at = conc_proxy_offset(p);
  conc_shared_put(place, p);
  conc_release(&p->obj);
  together(meet_body, &at);
  conc_shared_drop(place);
  conc_ledger_put(place);
  CHECK(same_usage(before));
}

/* ---- A second process ---- */

static void play_reader(uint64_t at, uint64_t expected) {
  conc_proxy *p;
  CHECK(conc_shared_get(&p, at) == APR_SUCCESS);
  CHECK(in(p)->size == expected);
  CHECK(conc_parcel_bytes(in(p))[0] == 42);
  conc_parcel_bytes(in(p))[0] = 43;
  conc_release(&p->obj);
}

static void test_second(void) {
  conc_proxy *p = parcel(77, 0);
  conc_parcel_bytes(in(p))[0] = 42;
  family_good(family_start("reader", conc_proxy_offset(p), 77));
  CHECK(conc_parcel_bytes(in(p))[0] == 43);
  conc_release(&p->obj);
}

static void test_attach_twice(void) {
  CHECK(conc_heap_attach(conc_heap_handle()) == CONC_MISUSE);
}

/* ---- Death at every step ---- */

/*
 * All that the heap can do, on 'shared' (a parcel with two places that this
 * process alone uses, and which outlives it) and on objects of its own.
 */
static void play_everything(uint64_t shared, uint64_t step) {
  conc_proxy *box, *a, *b;
  conc_step_die((uint32_t)step);
  CHECK(conc_shared_get(&box, shared) == APR_SUCCESS);
  a = parcel(100, 1);
  b = parcel(20000, 1);
  conc_shared_put(&in(b)->refs[0], a);
  conc_shared_put(&in(box)->refs[0], b);
  conc_release(&b->obj);
  conc_ref *place = conc_ledger_get();
  CHECK(place != NULL);
  conc_heap_move(place, &in(box)->refs[0]);
  conc_heap_move(&in(box)->refs[1], place);
  conc_ledger_put(place);
  conc_release(&a->obj);
  conc_shared_drop(&in(box)->refs[1]);
  conc_heap_bury();
  conc_release(&box->obj);
}

/* After a death: what it left in the box is ours to drop; nothing else is. */
static void test_every_step(void) {
  conc_proxy *box = parcel(0, 2);
  conc_heap_usage before = conc_heap_used();
  bool killed = true;
  uint64_t step = 1;
  for (; killed; step = family_next(step)) {
    uint64_t pid = family_start("everything", conc_proxy_offset(box), step);
    killed = family_killed(family_wait(pid));
    conc_shared_drop(&in(box)->refs[0]);
    conc_shared_drop(&in(box)->refs[1]);
    CHECK(same_usage(before));
  }
  CHECK(step > 100); /* it did go through the steps */
  conc_release(&box->obj);
}

/*
 * The same for whoever buries.  The burier is a member before there is anybody
 * to bury, and says so in the box's bytes.
 */

typedef struct burial {
  conc_word ready, go;
} burial;

static burial *burial_of(const conc_proxy *box) {
  return (burial *)(void *)conc_parcel_bytes(in(box));
}

static void await_word(conc_word *w) {
  while (atomic_load(w) == 0)
    CHECK(conc_word_sleep(w, 0, NULL, CONC_FOREVER) == APR_SUCCESS);
}

static void set_word(conc_word *w) {
  atomic_store(w, 1);
  (void)conc_word_wake(w, true);
}

static void play_burier(uint64_t shared, uint64_t step) {
  conc_proxy *box;
  CHECK(conc_shared_get(&box, shared) == APR_SUCCESS);
  set_word(&burial_of(box)->ready);
  await_word(&burial_of(box)->go);
  conc_step_die((uint32_t)step);
  conc_heap_bury();
}

/* Dies with much in its ledger. */
static void play_hoarder(uint64_t a, uint64_t b) {
  (void)a, (void)b;
  for (int i = 0; i < 5; i++) {
    conc_proxy *p = parcel((size_t)i * 3000, 2), *inner = parcel(10, 0);
    conc_shared_put(&in(p)->refs[0], inner);
    conc_shared_put(&in(p)->refs[1], inner);
    conc_release(&inner->obj);
  }
  conc_step_die(1);
  conc_step();
}

static bool burial_dies_at(const conc_proxy *box, uint64_t step) {
  burial *b = burial_of(box);
  atomic_store(&b->ready, 0);
  atomic_store(&b->go, 0);
  uint64_t burier = family_start("burier", conc_proxy_offset(box), step);
  await_word(&b->ready);
  uint64_t hoarder = family_start("hoarder", 0, 0);
  (void)conc_sys_reap(hoarder);
  set_word(&b->go);
  return family_killed(family_wait(burier));
}

static void test_every_step_of_burial(void) {
  conc_proxy *box = parcel(sizeof(burial), 0);
  conc_heap_usage before = conc_heap_used();
  uint64_t step = 1;
  for (; burial_dies_at(box, step); step = family_next(step))
    CHECK(same_usage(before));
  CHECK(same_usage(before));
  CHECK(step > 100);
  conc_release(&box->obj);
}

/* ---- Death at random, of many at work ---- */

enum { WORKERS = 4, SHELVES = 16 };

/* In the bytes of a parcel with SHELVES places.  a == b; one at most inside. */
typedef struct chaos {
  conc_txn sums;
  conc_ref a, b;              /* under 'sums' */
  conc_word latch[SHELVES];   /* one for each place */
  _Atomic uint32_t inside;    /* a member, or 0 */
  conc_word door;             /* guards 'inside' */
  _Atomic uint32_t abandoned; /* times the door was taken from the dead */
} chaos;

static chaos *chaos_of(const conc_proxy *box) {
  return (chaos *)(void *)conc_parcel_bytes(in(box));
}

static void add_sums(chaos *c) {
  conc_txn_begin(&c->sums);
  CHECK(atomic_load(&c->a) == atomic_load(&c->b));
  conc_txn_write(&c->sums, &c->a, atomic_load(&c->a) + 1);
  conc_txn_write(&c->sums, &c->b, atomic_load(&c->b) + 1);
  conc_txn_commit(&c->sums);
}

/* Put something else on a shelf. */
static void change_shelf(conc_proxy *box, uint32_t i) {
  conc_word *latch = &chaos_of(box)->latch[i];
  conc_ref *place = &in(box)->refs[i];
  if (conc_robust_acquire(latch, NULL, CONC_FOREVER) == CONC_ABANDONED)
    conc_heap_settle();
  if (atomic_load(place) != 0 && rnd(2) == 0) {
    conc_proxy *p;
    CHECK(conc_shared_get(&p, atomic_load(place)) == APR_SUCCESS);
    conc_release(&p->obj);
  }
  conc_shared_drop(place);
  if (rnd(4) != 0) {
    conc_proxy *p = parcel(some_size(), 1);
    conc_shared_put(place, p);
    conc_release(&p->obj);
  }
  CHECK(conc_robust_release(latch) == APR_SUCCESS);
}

/* Whoever finds somebody inside was told that the door was abandoned. */
static void go_inside(chaos *c, conc_parker *self) {
  conc_time until = conc_sys_now() + rnd(300) * MICRO;
  apr_status_t st =
    conc_robust_acquire(&c->door, self, rnd(2) ? CONC_FOREVER : until);
  if (st == APR_TIMEUP)
    return;
  CHECK(st == APR_SUCCESS || st == CONC_ABANDONED);
  uint32_t other = atomic_exchange(&c->inside, conc_heap_self());
  CHECK(other == 0 || (st == CONC_ABANDONED && !conc_heap_alive(other)));
  atomic_fetch_add(&c->abandoned, st == CONC_ABANDONED);
  busy(rnd(30) * MICRO);
  CHECK(atomic_exchange(&c->inside, 0) == conc_heap_self());
  CHECK(conc_robust_release(&c->door) == APR_SUCCESS);
}

static void play_chaos(uint64_t shared, uint64_t random) {
  conc_proxy *box;
  conc_parker *self = conc_parker_new();
  seed = random;
  CHECK(self != NULL && conc_shared_get(&box, shared) == APR_SUCCESS);
  for (;;) {
    switch (rnd(8)) {
    case 0: add_sums(chaos_of(box)); break;
    case 1: go_inside(chaos_of(box), self); break;
    case 2: conc_heap_bury(); break;
    default: change_shelf(box, rnd(SHELVES));
    }
  }
}

static void test_chaos(void) {
  conc_proxy *box;
  CHECK(conc_parcel_new(&box, sizeof(chaos), SHELVES) == APR_SUCCESS);
  chaos *c = chaos_of(box);
  memset(c, 0, sizeof *c);
  conc_shared_publish(box);
  conc_heap_usage before = conc_heap_used();
  uint64_t pid[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    pid[i] = family_start("chaos", conc_proxy_offset(box), rnd(1u << 30) + 1);
  for (int kills = scaled(500); kills > 0; kills--) {
    uint32_t i = rnd(WORKERS);
    family_pause(8000);
    add_sums(c);
    family_kill(pid[i]);
    CHECK(family_killed(family_wait(pid[i])));
    pid[i] = family_start("chaos", conc_proxy_offset(box), rnd(1u << 30) + 1);
  }
  for (int i = 0; i < WORKERS; i++) {
    family_kill(pid[i]);
    CHECK(family_killed(family_wait(pid[i])));
  }
  conc_heap_settle();
  add_sums(c);
  for (int i = 0; i < SHELVES; i++)
    conc_shared_drop(&in(box)->refs[i]);
  CHECK(same_usage(before));
  CHECK(atomic_load(&c->a) > 0);
  conc_release(&box->obj);
}

/* ---- Latches and words between threads ---- */

struct latch_test {
  conc_word *latch;
  int inside, count;
  _Atomic int expected;
};

static void latch_body(worker *w) {
  struct latch_test *t = w->arg;
  for (int i = scaled(20000); i > 0; i--) {
    tease(w);
    apr_status_t st = conc_robust_acquire(t->latch, w->self, some_deadline(w));
    if (cancelled(w, st) || st == APR_TIMEUP)
      continue;
    CHECK(st == APR_SUCCESS);
    CHECK(t->inside++ == 0);
    t->count++;
    if (roll(w, 256) == 0)
      busy(100 * MICRO);
    t->inside--;
    CHECK(conc_robust_release(t->latch) == APR_SUCCESS);
    atomic_fetch_add(&t->expected, 1);
  }
}

static void test_latch(void) {
  conc_proxy *box = parcel(sizeof(conc_word), 0);
  struct latch_test t = {.latch = (void *)conc_parcel_bytes(in(box))};
  atomic_store(t.latch, 0);
  together(latch_body, &t);
  CHECK(t.count == atomic_load(&t.expected));
  CHECK(!conc_robust_held(t.latch));
  CHECK(conc_robust_release(t.latch) == CONC_MISUSE);
  conc_release(&box->obj);
}

/* A cancel reaches a sleeper, whenever it comes. */

struct cancel_test {
  conc_word *word;
  _Atomic int done;
};

static void cancel_body(worker *w) {
  struct cancel_test *t = w->arg;
  if (w->index == 0) {
    while (atomic_load(&t->done) < THREADS - 1)
      conc_parker_cancel(w[1 + roll(w, THREADS - 1)].self);
    return;
  }
  for (int i = scaled(2000); i > 0; i--) {
    apr_status_t st = conc_word_sleep(t->word, 0, w->self, CONC_FOREVER);
    CHECK(cancelled(w, st));
  }
  atomic_fetch_add(&t->done, 1);
}

static void test_cancel(void) {
  conc_proxy *box = parcel(sizeof(conc_word), 0);
  struct cancel_test t = {.word = (void *)conc_parcel_bytes(in(box))};
  atomic_store(t.word, 0);
  together(cancel_body, &t);
  conc_release(&box->obj);
}

static void test_sleep(void) {
  conc_proxy *box = parcel(sizeof(conc_word), 0);
  conc_word *w = (void *)conc_parcel_bytes(in(box));
  conc_parker *self = conc_parker_interrupted();
  atomic_store(w, 5);
  CHECK(conc_word_sleep(w, 4, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(conc_word_sleep(w, 5, self, CONC_FOREVER) == CONC_INTERRUPTED);
  self->poll = NULL;
  conc_time until = conc_sys_now() + 5000 * MICRO;
  CHECK(conc_word_sleep(w, 5, self, until) == APR_TIMEUP);
  CHECK(conc_sys_now() >= until);
  conc_parker_free(self);
  conc_release(&box->obj);
}

int main(int argc, char **argv) {
  static const struct family_role roles[] = {
    {"reader", play_reader}, {"everything", play_everything},
    {"burier", play_burier}, {"hoarder", play_hoarder},
    {"chaos", play_chaos},   {NULL, NULL}};
  static void (*const tests[])(void) = {test_blocks,
                                        test_exhausted,
                                        test_objects,
                                        test_chain,
                                        test_nonsense,
                                        test_meeting,
                                        test_second,
                                        test_attach_twice,
                                        test_latch,
                                        test_cancel,
                                        test_sleep,
                                        test_every_step,
                                        test_every_step_of_burial,
                                        test_chaos};
  family_main(argc, argv, roles);
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
