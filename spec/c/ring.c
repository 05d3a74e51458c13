/*
 * Rings and the queues made of them, between threads, and between processes
 * that are killed: at every single step of what they do, and at random.
 */

#include "family.h"

#include "ipc/squeue.h"
#include "ipc/step.h"

static conc_squeue *queue(uint64_t capacity) {
  conc_squeue *q;
  CHECK(conc_squeue_new(&q, &conc_squeue_class, capacity) == APR_SUCCESS);
  return q;
}

/* ---- Messages: a number, and bytes that follow from it ---- */

enum { LONGEST = 20000 };

static conc_load load(uint64_t number, size_t size, conc_proxy **shared,
                      uint32_t nshared) {
  static _Thread_local unsigned char bytes[LONGEST];
  memset(bytes, (int)(number % 251), sizeof bytes);
  memcpy(bytes, &number, sizeof number);
  size_t nhead = size < number % 20 ? size : number % 20;
  return (conc_load){.head = bytes,
                     .nhead = nhead,
                     .data = bytes + nhead,
                     .size = size - nhead,
                     .shared = shared,
                     .nshared = nshared,
                     .tag = (uint8_t)(number % 7)};
}

static uint64_t number_in(const conc_item *item) {
  uint64_t number;
  CHECK(item->size >= sizeof number);
  memcpy(&number, item->data, sizeof number);
  for (size_t i = sizeof number; i < item->size; i++)
    CHECK(item->data[i] == number % 251);
  CHECK(item->tag == number % 7);
  return number;
}

static size_t some_size(void) {
  switch (rnd(4)) {
  case 0: return sizeof(uint64_t) + rnd(LONGEST - 8);
  case 1: return sizeof(uint64_t) + rnd(CONC_RING_INLINE);
  default: return sizeof(uint64_t) + rnd(100);
  }
}

/* ---- Alone ---- */

static void test_order(void) {
  CHECK(conc_heap_open() == APR_SUCCESS);
  conc_ledger_put(conc_ledger_get()); /* its page stays */
  conc_heap_usage before = conc_heap_used();
  static conc_item item;
  conc_squeue *q = queue(0);
  conc_ring *r = conc_squeue_of(q);
  uint64_t in = 0, out = 0;
  for (int i = scaled(30000); i > 0; i--) {
    uint32_t most = i % 2000 < 1000 ? 3 : 40;
    if (in == out || rnd(most) > most / 3) {
      conc_load l = load(in++, some_size(), NULL, 0);
      CHECK(conc_ring_push(r, &l, NULL, CONC_NOW) == APR_SUCCESS);
    } else {
      CHECK(conc_ring_pop(r, &item, NULL, CONC_NOW) == APR_SUCCESS);
      CHECK(number_in(&item) == out++);
      conc_item_fini(&item);
    }
    CHECK(conc_ring_len(r) == in - out);
    if (in - out > 3000)
      i = i / 2000 * 2000 + 1; /* for a while more gets than puts */
  }
  conc_release(&q->proxy.obj); /* with what is inside */
  CHECK(same_usage(before));
}

static void test_ends(void) {
  static conc_item item;
  conc_squeue *q = queue(2);
  conc_ring *r = conc_squeue_of(q);
  conc_parker *self = conc_parker_new();
  conc_time soon = conc_sys_now() + 10000 * MICRO;
  conc_load l = load(1, 8, NULL, 0), empty = {.tag = 3};
  CHECK(conc_ring_pop(r, &item, self, CONC_NOW) == APR_TIMEUP);
  CHECK(conc_ring_pop(r, &item, self, soon) == APR_TIMEUP);
  CHECK(conc_sys_now() >= soon);
  CHECK(conc_ring_push(r, &empty, self, CONC_NOW) == APR_SUCCESS);
  CHECK(conc_ring_push(r, &l, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(conc_ring_push(r, &l, self, CONC_NOW) == APR_TIMEUP);
  conc_parker_cancel(self);
  CHECK(conc_ring_push(r, &l, self, CONC_FOREVER) == CONC_CANCELLED);
  conc_squeue_shutdown(q, false);
  CHECK(conc_ring_push(r, &l, self, CONC_FOREVER) == CONC_CLOSED);
  CHECK(conc_ring_pop(r, &item, self, CONC_FOREVER) == APR_SUCCESS);
  CHECK(item.size == 0 && item.tag == 3);
  CHECK(conc_squeue_task_done(q) == APR_SUCCESS);
  CHECK(conc_squeue_join(q, self, CONC_NOW) == APR_TIMEUP);
  conc_squeue_shutdown(q, true);
  CHECK(conc_ring_pop(r, &item, self, CONC_FOREVER) == CONC_CLOSED);
  CHECK(conc_squeue_join(q, self, CONC_NOW) == APR_SUCCESS);
  CHECK(conc_squeue_task_done(q) == CONC_MISUSE);
  conc_parker_free(self);
  conc_release(&q->proxy.obj);
}

/* What is sent is held by the message, and by nothing else. */
static void test_shared(void) {
  static conc_item item;
  conc_heap_usage before = conc_heap_used();
  conc_squeue *q = queue(0);
  conc_proxy *inner[2], *met;
  for (int i = 0; i < 2; i++)
    inner[i] = &queue(7)->proxy;
  uint64_t at = conc_proxy_offset(inner[1]);
  conc_load l = load(5, 100, inner, 2);
  for (int i = 0; i < 2; i++)
    CHECK(conc_ring_push(conc_squeue_of(q), &l, NULL, CONC_NOW) == APR_SUCCESS);
  for (int i = 0; i < 2; i++)
    conc_release(&inner[i]->obj);
  CHECK(conc_ring_pop(conc_squeue_of(q), &item, NULL, CONC_NOW) == APR_SUCCESS);
  CHECK(number_in(&item) == 5 && item.nshared == 2);
  CHECK(conc_item_shared(&item, 1, &met) == APR_SUCCESS);
  CHECK(conc_proxy_offset(met) == at);
  conc_item_fini(&item);
  conc_release(&q->proxy.obj); /* the other message goes with it */
  CHECK(conc_heap_valid(at));
  conc_release(&met->obj);
  CHECK(same_usage(before));
}

/* All at once: short ones and parcels, as far as there is room. */
static void test_drain(void) {
  enum { N = 30 };
  conc_heap_usage before = conc_heap_used();
  conc_squeue *q = queue(0);
  conc_ring *r = conc_squeue_of(q);
  conc_taken list[N];
  uint64_t number;
  size_t n;
  CHECK(conc_ring_drain(r, list, N, &n) == APR_SUCCESS && n == 0);
  for (uint64_t i = 0; i < N; i++) {
    conc_load l = load(i, i % 3 == 0 ? LONGEST : 8 + i, NULL, 0);
    CHECK(conc_ring_push(r, &l, NULL, CONC_NOW) == APR_SUCCESS);
  }
  CHECK(conc_ring_drain(r, list, N / 2, &n) == APR_EAGAIN && n == N / 2);
  CHECK(conc_ring_len(r) == N / 2);
  CHECK(conc_ring_drain(r, list + n, N, &n) == APR_SUCCESS && n == N / 2);
  for (uint64_t i = 0; i < N; i++) {
    memcpy(&number, list[i].head, sizeof number);
    CHECK(number == i && list[i].tag == i % 7);
    CHECK(list[i].size == (i % 3 == 0 ? LONGEST : 8 + i));
    CHECK((list[i].place != NULL) == (i % 3 == 0));
    conc_taken_fini(&list[i]);
  }
  conc_squeue_shutdown(q, false);
  CHECK(conc_ring_drain(r, list, N, &n) == APR_SUCCESS && n == 0);
  conc_release(&q->proxy.obj);
  CHECK(same_usage(before));
}

/* ---- Threads ---- */

struct crowd {
  conc_squeue *q;
  _Atomic uint64_t put, got, sum_put, sum_got;
  _Atomic int producers;
};

static void produce(worker *w, struct crowd *c) {
  for (int i = scaled(20000); i > 0; i--) {
    uint64_t number = roll(w, 1000);
    tease(w);
    conc_load l = load(number, 8 + roll(w, 200), NULL, 0);
    apr_status_t st =
      conc_ring_push(conc_squeue_of(c->q), &l, w->self, some_deadline(w));
    if (cancelled(w, st) || st == APR_TIMEUP)
      continue;
    CHECK(st == APR_SUCCESS);
    atomic_fetch_add(&c->put, 1);
    atomic_fetch_add(&c->sum_put, number);
  }
  if (atomic_fetch_sub(&c->producers, 1) == 1)
    conc_squeue_shutdown(c->q, false);
}

static void consume(worker *w, struct crowd *c) {
  conc_item item;
  for (;;) {
    apr_status_t st =
      conc_ring_pop(conc_squeue_of(c->q), &item, w->self, some_deadline(w));
    if (cancelled(w, st) || st == APR_TIMEUP)
      continue;
    if (st == CONC_CLOSED)
      return;
    CHECK(st == APR_SUCCESS);
    atomic_fetch_add(&c->got, 1);
    atomic_fetch_add(&c->sum_got, number_in(&item));
    conc_item_fini(&item);
  }
}

static void crowd_body(worker *w) {
  if (w->index % 2 == 0)
    produce(w, w->arg);
  else
    consume(w, w->arg);
}

static void crowd(uint64_t capacity) {
  conc_heap_usage before = conc_heap_used();
  struct crowd c = {.q = queue(capacity), .producers = THREADS / 2};
  together(crowd_body, &c);
  CHECK(atomic_load(&c.put) == atomic_load(&c.got));
  CHECK(atomic_load(&c.sum_put) == atomic_load(&c.sum_got));
  conc_release(&c.q->proxy.obj);
  CHECK(same_usage(before));
}

static void test_threads(void) { crowd(0); }
static void test_bounded_threads(void) { crowd(3); }

/* ---- Death at every step ---- */

/* Between a test and its processes: what they use, and what they note. */
typedef struct notes {
  _Atomic uint64_t put, got; /* by the one that dies */
  _Atomic uint64_t stop;
  _Atomic uint64_t killed;
} notes;

static conc_proxy *box_for(const conc_squeue *q, size_t size) {
  conc_proxy *box;
  CHECK(conc_parcel_new(&box, size, 1) == APR_SUCCESS);
  memset(conc_parcel_bytes(box->at), 0, size);
  conc_shared_publish(box);
  conc_shared_put(&conc_parcel_of(box)->refs[0], &q->proxy);
  return box;
}

static void *in(const conc_proxy *box) { return conc_parcel_bytes(box->at); }

/* In a process: the box, and the queue that it holds. */
static conc_squeue *meet(conc_proxy **box, uint64_t offset) {
  conc_proxy *q;
  CHECK(conc_shared_get(box, offset) == APR_SUCCESS);
  uint64_t at = atomic_load(&conc_parcel_of(*box)->refs[0]);
  CHECK(conc_shared_get(&q, at) == APR_SUCCESS);
  return (conc_squeue *)q;
}

/* The sizes of messages: they fill segments, and some are parcels. */
static size_t size_of(uint64_t number) {
  static const size_t sizes[] = {8, 60, 4000, 9, 5000, 4088, 100};
  return sizes[number % (sizeof sizes / sizeof *sizes)];
}

static void put_one(conc_squeue *q, uint64_t number) {
  conc_proxy *shared = number % 5 == 0 ? &queue(1)->proxy : NULL;
  conc_load l = load(number, size_of(number), &shared, shared != NULL);
  CHECK(conc_ring_push(conc_squeue_of(q), &l, NULL, CONC_NOW) == APR_SUCCESS);
  if (shared != NULL)
    conc_release(&shared->obj);
}

/* 0: it is empty. */
static uint64_t get_one(conc_squeue *q) {
  static conc_item item;
  apr_status_t st = conc_ring_pop(conc_squeue_of(q), &item, NULL, CONC_NOW);
  if (APR_STATUS_IS_TIMEUP(st))
    return 0;
  CHECK(st == APR_SUCCESS);
  uint64_t number = number_in(&item);
  CHECK(item.size == size_of(number) && item.nshared == (number % 5 == 0));
  conc_item_fini(&item);
  return number;
}

static void play_user(uint64_t offset, uint64_t step) {
  conc_proxy *box;
  conc_squeue *q = meet(&box, offset);
  notes *n = in(box);
  uint64_t put = 0;
  conc_step_die((uint32_t)step);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 7 + 2 * round; i++) {
      put_one(q, ++put);
      atomic_store(&n->put, put);
    }
    for (int i = 0; i < 6; i++)
      atomic_store(&n->got, get_one(q));
  }
  conc_release(&q->proxy.obj);
  conc_release(&box->obj);
}

/* What others find: all but one message at most, in order; it works as before;
   and nothing is left of it. */
static void check_after(conc_squeue *q, notes *n) {
  uint64_t next = atomic_load(&n->got) + 1, number, last = 0;
  uint64_t put = atomic_load(&n->put);
  for (bool first = true; (number = get_one(q)) != 0; first = false) {
    CHECK(number == next || (first && number == next + 1));
    last = number;
    next = number + 1;
  }
  CHECK(last == 0 || last == put || last == put + 1);
  for (uint64_t i = 1; i < 20; i++)
    put_one(q, i);
  for (uint64_t i = 1; i < 20; i++)
    CHECK(get_one(q) == i);
  CHECK(conc_ring_len(conc_squeue_of(q)) == 0);
}

static bool die_at(uint64_t step, bool look) {
  conc_heap_usage before = conc_heap_used();
  conc_squeue *q = queue(0);
  conc_proxy *box = box_for(q, sizeof(notes));
  bool killed = family_killed(
    family_wait(family_start("user", conc_proxy_offset(box), step)));
  if (look)
    check_after(q, in(box));
  conc_release(&box->obj);
  conc_release(&q->proxy.obj);
  CHECK(same_usage(before));
  return killed;
}

static void test_every_step(void) {
  uint64_t step = 1;
  while (die_at(step, true))
    step = family_next(step);
  CHECK(step > 300); /* it did go through the steps */
}

/* Nobody comes after it but who drops the queue. */
static void test_every_step_dropped(void) {
  uint64_t step = 1;
  while (die_at(step, false))
    step = family_next(step);
}

/* ---- Death at random ---- */

enum { PRODUCERS = 3, CONSUMERS = 3, MOST_ITEMS = 1 << 20 };

/* 'seen' has a byte a message: who has got it.
   Of each producer's messages, how many it surely put. */
typedef struct chaos {
  _Atomic uint64_t stop;
  _Atomic uint64_t put;   /* the next number */
  _Atomic uint64_t noted; /* messages that were put, and said so */
  _Atomic uint64_t got;   /* ... got */
  _Atomic unsigned char seen[MOST_ITEMS];
} chaos;

static void leave(conc_squeue *q, conc_proxy *box, conc_parker *self) {
  conc_release(&q->proxy.obj);
  conc_release(&box->obj);
  conc_parker_free(self);
}

static void play_producer(uint64_t offset, uint64_t which) {
  conc_proxy *box;
  conc_squeue *q = meet(&box, offset);
  chaos *c = in(box);
  conc_parker *self = conc_parker_new();
  seed += which * 77;
  while (atomic_load(&c->stop) == 0) {
    uint64_t number = atomic_fetch_add(&c->put, 1);
    if (number >= MOST_ITEMS)
      break;
    conc_load l = load(number, rnd(50) == 0 ? 5000 : 8 + rnd(300), NULL, 0);
    CHECK(conc_ring_push(conc_squeue_of(q), &l, self, CONC_FOREVER) ==
          APR_SUCCESS);
    atomic_fetch_add(&c->noted, 1);
  }
  leave(q, box, self);
}

static void play_consumer(uint64_t offset, uint64_t which) {
  static conc_item item;
  conc_proxy *box;
  conc_squeue *q = meet(&box, offset);
  chaos *c = in(box);
  conc_parker *self = conc_parker_new();
  (void)which;
  apr_status_t st;
  while ((st = conc_ring_pop(conc_squeue_of(q), &item, self, CONC_FOREVER)) ==
         APR_SUCCESS) {
    uint64_t number = number_in(&item);
    CHECK(number < MOST_ITEMS);
    CHECK(atomic_exchange(&c->seen[number], 1) == 0);
    atomic_fetch_add(&c->got, 1);
    conc_item_fini(&item);
  }
  CHECK(st == CONC_CLOSED);
  leave(q, box, self);
}

static uint64_t start_one(int i, const conc_proxy *box) {
  static uint64_t n;
  return family_start(i < PRODUCERS ? "producer" : "consumer",
                      conc_proxy_offset(box), ++n);
}

static void chaos_with(uint64_t capacity) {
  conc_heap_usage before = conc_heap_used();
  conc_squeue *q = queue(capacity);
  conc_proxy *box = box_for(q, sizeof(chaos));
  chaos *c = in(box);
  uint64_t pids[PRODUCERS + CONSUMERS];
  uint64_t dead[2] = {0, 0};
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
    pids[i] = start_one(i, box);
  for (int n = scaled(100); n > 0; n--) {
    int i = (int)rnd(PRODUCERS + CONSUMERS);
    family_pause(10000);
    family_kill(pids[i]);
    if (family_killed(family_wait(pids[i])))
      dead[i >= PRODUCERS]++;
    pids[i] = start_one(i, box);
  }
  atomic_store(&c->stop, 1);
  for (int i = 0; i < PRODUCERS; i++)
    family_good(pids[i]);
  conc_squeue_shutdown(q, false);
  for (int i = PRODUCERS; i < PRODUCERS + CONSUMERS; i++)
    family_good(pids[i]);
  uint64_t noted = atomic_load(&c->noted), got = 0;
  for (int i = 0; i < MOST_ITEMS; i++)
    got += c->seen[i];
  CHECK(got + dead[1] >= noted && got <= noted + dead[0]);
  CHECK(conc_ring_len(conc_squeue_of(q)) == 0);
  CHECK(got > 0);
  conc_release(&box->obj);
  conc_release(&q->proxy.obj);
  CHECK(same_usage(before));
}

static void test_chaos(void) { chaos_with(0); }
static void test_bounded_chaos(void) { chaos_with(5); }

int main(int argc, char **argv) {
  static const struct family_role roles[] = {{"user", play_user},
                                             {"producer", play_producer},
                                             {"consumer", play_consumer},
                                             {NULL, NULL}};
  static void (*const tests[])(void) = {
    test_order,      test_ends,
    test_shared,     test_drain,
    test_threads,    test_bounded_threads,
    test_every_step, test_every_step_dropped,
    test_chaos,      test_bounded_chaos};
  family_main(argc, argv, roles);
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
