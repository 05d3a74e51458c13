/*
 * The floor under a queue: how fast integers go one way, through a ring under
 * a mutex that the consumer empties in batches, and through a ring for one
 * producer and one consumer.
 */
#include "floor.h"
#include "partner.h"
#include "spin.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { ROOM = 4096 };

/* len items from 'first' on, all of it guarded by 'lock' */
static struct {
  alignas(SPIN_LINE) pthread_mutex_t lock;
  size_t first, len;
  long items[ROOM];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* what the consumer took and has not used: items 'next' to 'len' */
static struct {
  alignas(SPIN_LINE) size_t next, len;
  long items[ROOM];
} batch;

static void queue_push(long item) {
  for (int steps = 0;; spin_step(&steps)) {
    spin_lock(&queue.lock);
    bool room = queue.len < ROOM;
    if (room)
      queue.items[(queue.first + queue.len++) % ROOM] = item;
    pthread_mutex_unlock(&queue.lock);
    if (room)
      return;
  }
}

static void take_all_locked(void) {
  for (size_t i = 0; i < queue.len; i++)
    batch.items[i] = queue.items[(queue.first + i) % ROOM];
  batch.next = 0;
  batch.len = queue.len;
  queue.first = (queue.first + queue.len) % ROOM;
  queue.len = 0;
}

static long queue_pop(void) {
  for (int steps = 0; batch.next == batch.len; spin_step(&steps)) {
    spin_lock(&queue.lock);
    take_all_locked();
    pthread_mutex_unlock(&queue.lock);
  }
  return batch.items[batch.next++];
}

static void *queue_drain(void *arg) {
  long n = *(long *)arg;
  for (long i = 0; i < n; i++)
    floor_check(queue_pop() == i, "the queue's order");
  return NULL;
}

static void queue_fill(long n) {
  for (long i = 0; i < n; i++)
    queue_push(i);
}

static void queue_one_way(long n) { with_partner(queue_drain, n, queue_fill); }

/*
 * 'head' counts what was popped, 'tail' what was pushed; each side owns one
 * and keeps its last sight of the other, to touch the shared line rarely.
 */
static struct {
  alignas(SPIN_LINE) atomic_size_t head; /* [o] consumer writes */
  size_t tail_seen;                      /* [o] consumer */
  alignas(SPIN_LINE) atomic_size_t tail; /* [o] producer writes */
  size_t head_seen;                      /* [o] producer */
  alignas(SPIN_LINE) long items[ROOM];
} ring;

static void ring_push(long item) {
  size_t tail = atomic_load_explicit(&ring.tail, memory_order_relaxed);
  for (int steps = 0; tail - ring.head_seen == ROOM; spin_step(&steps))
    ring.head_seen = atomic_load_explicit(&ring.head, memory_order_acquire);
  ring.items[tail % ROOM] = item;
  /* pairs with the acquire in ring_pop, as head's does with the one above */
  atomic_store_explicit(&ring.tail, tail + 1, memory_order_release);
}

static long ring_pop(void) {
  size_t head = atomic_load_explicit(&ring.head, memory_order_relaxed);
  for (int steps = 0; head == ring.tail_seen; spin_step(&steps))
    ring.tail_seen = atomic_load_explicit(&ring.tail, memory_order_acquire);
  long item = ring.items[head % ROOM];
  atomic_store_explicit(&ring.head, head + 1, memory_order_release);
  return item;
}

static void *ring_drain(void *arg) {
  long n = *(long *)arg;
  for (long i = 0; i < n; i++)
    floor_check(ring_pop() == i, "the ring's order");
  return NULL;
}

static void ring_fill(long n) {
  for (long i = 0; i < n; i++)
    ring_push(i);
}

static void ring_one_way(long n) { with_partner(ring_drain, n, ring_fill); }

int main(void) {
  floor_print("queue.mutex", 1e-6 / floor_each(queue_one_way, 500000), "M/s");
  floor_print("queue.ring", 1e-6 / floor_each(ring_one_way, 5000000), "M/s");
  return 0;
}
