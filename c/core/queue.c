/*
 * Two ends, two locks.  A producer and a consumer of a FIFO touch different
 * lines: each end keeps its own count of what passed, and its own last look at
 * the other's, which is asked again only when the end seems reached.  The
 * stacks and heaps have one lock: both ends take 'tail_lock'.
 *
 * Invariants: put - got is the number of messages inside; only the holder of
 * the put side's lock raises 'put', after the message is stored; only the
 * holder of the get side's lock raises 'got', after it was moved out.  put is
 * published with seq_cst and then the gate is told, as gate.h demands.
 *
 * Closing: 'closed' is set under both locks, so a push that saw it clear has
 * stored its message before; after that put never grows.
 */

#include "core/queue.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/latest.h"
#include "core/pile.h"
#include "wait/gather.h"
#include "wait/mutex.h"

enum {
  PER_BLOCK = 31,
  AHEAD = 3 /* slots that are fetched before they are written */
};

typedef struct block {
  struct block *next;
  uint64_t unused[7]; /* messages start on a line */
  conc_msg slots[PER_BLOCK];
} block;

/*
 * [c] constant after new   [p] put side's lock   [g] get side's lock
 * [a] atomic; 'put' and 'got' are written as [p] and [g] only
 */
struct conc_queue {
  conc_obj obj;
  conc_queue_kind kind; /* [c] */
  size_t capacity;      /* [c] 0: unbounded */
  conc_word *get_lock;  /* [c] &head_lock, or &tail_lock */
  conc_word closed;     /* [a] */

  /* Each end on lines of its own, and what consumers look at. */
  _Alignas(CONC_LINE) conc_word tail_lock;
  uint64_t got_seen; /* [p] an old 'got' */
  block *tail;       /* [p] FIFO: the block being filled */
  uint32_t tail_at;  /* [p] its next slot */
  conc_pile pile;    /* [p] LIFO, PRIORITY: what is inside */

  _Alignas(CONC_LINE) _Atomic uint64_t put; /* [a] messages ever put */
  conc_latest latest; /* [a] FIFO: written as [p]; fills the line */

  _Alignas(CONC_LINE) conc_word head_lock;
  _Atomic uint64_t got; /* [a] messages ever taken */
  uint64_t put_seen;    /* [g] an old 'put' */
  block *head;          /* [g] FIFO: the block being emptied */
  uint32_t head_at;     /* [g] its next slot */
  conc_gather gather;   /* [a] how long consumers let messages gather */

  _Alignas(CONC_LINE) conc_gate items; /* consumers wait for a message */
  conc_gate space;                     /* producers wait for room */
  _Atomic uint64_t done;               /* [a] messages dealt with */
  conc_word alldone;      /* [a] changes when done catches up with put */
  conc_word joiners;      /* [a] waiting for that */
  _Atomic(block *) spare; /* [a] an empty block to use again */
};

static bool is_fifo(const conc_queue *q) {
  return q->kind == CONC_QUEUE_FIFO || q->kind == CONC_QUEUE_SIMPLE;
}

/* Storage of the FIFO: a chain of blocks, head first. */

static block *block_new(conc_queue *q) {
  block *b = atomic_exchange(&q->spare, NULL);
  if (b == NULL)
    b = conc_alloc_lines(sizeof *b);
  if (b != NULL)
    b->next = NULL;
  return b;
}

static void block_drop(conc_queue *q, block *b) {
  conc_free_lines(atomic_exchange(&q->spare, b));
}

static apr_status_t fifo_store(conc_queue *q, conc_msg *msg, uint64_t nth) {
  if (q->tail_at == PER_BLOCK) {
    block *b = block_new(q);
    if (b == NULL)
      return APR_ENOMEM;
    q->tail->next = b;
    q->tail = b;
    q->tail_at = 0;
  }
  conc_latest_write(&q->latest, nth, msg);
  q->tail->slots[q->tail_at++] = conc_msg_take(msg);
  if (q->tail_at + AHEAD < PER_BLOCK)
    conc_sys_prefetch(&q->tail->slots[q->tail_at + AHEAD]);
  return APR_SUCCESS;
}

static void fifo_fetch(conc_queue *q, conc_msg *msg, uint64_t nth) {
  if (q->head_at == PER_BLOCK) {
    block *b = q->head;
    q->head = b->next;
    q->head_at = 0;
    block_drop(q, b);
  }
  const conc_msg *slot = &q->head->slots[q->head_at++];
  if (nth != q->put_seen || !conc_latest_read(&q->latest, nth, msg))
    *msg = *slot;
}

/* Life. */

static void fetch_locked(conc_queue *q, conc_msg *msg, conc_priority *prio) {
  if (is_fifo(q))
    fifo_fetch(q, msg, atomic_load(&q->got) + 1);
  else if (q->kind == CONC_QUEUE_LIFO)
    conc_pile_take_last(&q->pile, msg);
  else
    conc_pile_take_lowest(&q->pile, msg, prio);
}

static void destroy(conc_obj *o) {
  conc_queue *q = (conc_queue *)o;
  for (size_t n = conc_queue_len(q); n > 0; n--) {
    conc_msg msg;
    fetch_locked(q, &msg, NULL);
    conc_msg_fini(&msg);
    atomic_fetch_add(&q->got, 1);
  }
  conc_free_lines(q->head);
  conc_free_lines(atomic_load(&q->spare));
  conc_pile_fini(&q->pile);
  conc_obj_fini(o);
  conc_free_lines(q);
}

const conc_class conc_queue_fifo = {"Queue", destroy};
const conc_class conc_queue_lifo = {"LifoQueue", destroy};
const conc_class conc_queue_priority = {"PriorityQueue", destroy};
const conc_class conc_queue_simple = {"SimpleQueue", destroy};

apr_status_t conc_queue_new(conc_queue **out, conc_queue_kind kind,
                            size_t capacity) {
  static const conc_class *const classes[] = {
    &conc_queue_fifo, &conc_queue_lifo, &conc_queue_priority,
    &conc_queue_simple};
  conc_queue *q = conc_alloc_lines(sizeof *q);
  if (q == NULL)
    return APR_ENOMEM;
  memset(q, 0, sizeof *q);
  conc_obj_init(&q->obj, classes[kind]);
  q->kind = kind;
  q->capacity = capacity;
  q->get_lock = is_fifo(q) ? &q->head_lock : &q->tail_lock;
  if (is_fifo(q)) {
    q->head = q->tail = block_new(q);
    if (q->head == NULL)
      goto free_queue;
  }
  *out = q;
  return APR_SUCCESS;

free_queue:
  conc_obj_fini(&q->obj);
  conc_free_lines(q);
  return APR_ENOMEM;
}

/* Putting. */

static bool has_room(const void *arg) {
  const conc_queue *q = arg;
  return conc_queue_len(q) < q->capacity || atomic_load(&q->closed) != 0;
}

static bool full_locked(conc_queue *q, uint64_t put) {
  if (q->capacity == 0 || put - q->got_seen < q->capacity)
    return false;
  q->got_seen = atomic_load(&q->got);
  return put - q->got_seen >= q->capacity;
}

/* APR_EAGAIN: full. */
static apr_status_t try_push(conc_queue *q, conc_msg *msg,
                             conc_priority *prio) {
  conc_mutex_lock(&q->tail_lock);
  uint64_t put = atomic_load_explicit(&q->put, memory_order_relaxed);
  apr_status_t st;
  if (atomic_load(&q->closed) != 0)
    st = CONC_CLOSED;
  else if (full_locked(q, put))
    st = APR_EAGAIN;
  else
    st = is_fifo(q) ? fifo_store(q, msg, put + 1)
                    : conc_pile_add(&q->pile, msg, prio);
  if (st == APR_SUCCESS)
    atomic_store(&q->put, put + 1);
  bool more = st == APR_SUCCESS && q->capacity != 0 && has_room(q);
  conc_mutex_unlock(&q->tail_lock);
  if (st == APR_SUCCESS)
    conc_gate_notify(&q->items);
  if (more)
    conc_gate_notify(&q->space);
  return st;
}

apr_status_t conc_queue_push(conc_queue *q, conc_msg *msg, conc_priority *prio,
                             conc_parker *self, conc_time deadline) {
  for (;;) {
    apr_status_t st = try_push(q, msg, prio);
    if (st != APR_EAGAIN)
      return st;
    st = conc_gate_await(&q->space, has_room, q, self, deadline);
    if (st != APR_SUCCESS)
      return st;
  }
}

/* Getting. */

static bool has_item(const void *arg) {
  const conc_queue *q = arg;
  return conc_queue_len(q) != 0 || atomic_load(&q->closed) != 0;
}

/* APR_EAGAIN: empty. */
static apr_status_t try_pop(conc_queue *q, conc_msg *msg, conc_priority *prio) {
  conc_mutex_lock(q->get_lock);
  uint64_t got = atomic_load_explicit(&q->got, memory_order_relaxed);
  if (got == q->put_seen)
    q->put_seen = atomic_load(&q->put);
  apr_status_t st = APR_SUCCESS;
  if (got == q->put_seen)
    st = atomic_load(&q->closed) != 0 ? CONC_CLOSED : APR_EAGAIN;
  else
    fetch_locked(q, msg, prio);
  if (st == APR_SUCCESS)
    atomic_store(&q->got, got + 1);
  conc_mutex_unlock(q->get_lock);
  if (st == APR_SUCCESS && q->capacity != 0)
    conc_gate_notify(&q->space);
  /*
   * For the rest, as gate.h demands.  'put_seen' would not do: a put since then
   * may have relied on this thread while it was spinning.
   */
  if (st == APR_SUCCESS && atomic_load(&q->items.sleepers) != 0 && has_item(q))
    conc_gate_notify(&q->items);
  return st;
}

static size_t length(const void *q) { return conc_queue_len(q); }

apr_status_t conc_queue_pop(conc_queue *q, conc_msg *msg, conc_priority *prio,
                            conc_parker *self, conc_time deadline) {
  for (;;) {
    apr_status_t st = try_pop(q, msg, prio);
    if (st != APR_EAGAIN)
      return st;
    st = conc_gate_await(&q->items, has_item, q, self, deadline);
    if (st != APR_SUCCESS)
      return st;
    if (is_fifo(q) && atomic_load(&q->items.sleepers) == 0)
      conc_gather_some(&q->gather, length, q);
  }
}

conc_gate *conc_queue_gate(conc_queue *q, bool push) {
  return push ? &q->space : &q->items;
}

bool conc_queue_ready(const conc_queue *q, bool push) {
  return push ? q->capacity == 0 || has_room(q) : has_item(q);
}

size_t conc_queue_len(const conc_queue *q) {
  uint64_t got = atomic_load(&q->got); /* first: it never passes 'put' */
  return (size_t)(atomic_load(&q->put) - got);
}

size_t conc_queue_capacity(const conc_queue *q) { return q->capacity; }

size_t conc_queue_idle(const conc_queue *q) {
  return atomic_load(&q->items.sleepers) + atomic_load(&q->items.spinners);
}

uint64_t conc_queue_total(const conc_queue *q) { return atomic_load(&q->put); }

/* Task tracking: done runs after put; join waits until they meet. */

static void tell_joiners(conc_queue *q) {
  atomic_fetch_add(&q->alldone, 1);
  if (atomic_load(&q->joiners) != 0)
    conc_wake(&q->alldone, CONC_ALL);
}

apr_status_t conc_queue_task_done(conc_queue *q) {
  uint64_t done = atomic_load(&q->done), put;
  do {
    put = atomic_load(&q->put);
    if (done >= put)
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(&q->done, &done, done + 1));
  if (done + 1 == put)
    tell_joiners(q);
  return APR_SUCCESS;
}

apr_status_t conc_queue_join(conc_queue *q, conc_parker *self,
                             conc_time deadline) {
  apr_status_t st = APR_SUCCESS;
  atomic_fetch_add(&q->joiners, 1);
  do {
    uint32_t seen = atomic_load(&q->alldone);
    uint64_t done = atomic_load(&q->done);
    if (done == atomic_load(&q->put))
      break;
    st = conc_wait(&q->alldone, seen, self, deadline);
  } while (st == APR_SUCCESS || st == APR_EAGAIN);
  atomic_fetch_sub(&q->joiners, 1);
  return st == APR_EAGAIN ? APR_SUCCESS : st;
}

/* The end. */

static void lock_both(conc_queue *q) {
  conc_mutex_lock(&q->tail_lock);
  if (q->get_lock != &q->tail_lock)
    conc_mutex_lock(q->get_lock);
}

static void unlock_both(conc_queue *q) {
  if (q->get_lock != &q->tail_lock)
    conc_mutex_unlock(q->get_lock);
  conc_mutex_unlock(&q->tail_lock);
}

/* Take one message out for shutdown; false when there is none. */
static bool drop_one(conc_queue *q) {
  conc_msg msg;
  if (try_pop(q, &msg, NULL) != APR_SUCCESS)
    return false;
  conc_msg_fini(&msg);
  return true;
}

void conc_queue_shutdown(conc_queue *q, bool immediate) {
  lock_both(q);
  atomic_store(&q->closed, 1);
  unlock_both(q);
  if (immediate) {
    while (drop_one(q))
      (void)conc_queue_task_done(q);
  }
  conc_gate_notify_all(&q->items);
  conc_gate_notify_all(&q->space);
}

bool conc_queue_is_shutdown(const conc_queue *q) {
  return atomic_load(&q->closed) != 0;
}
