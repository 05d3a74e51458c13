/*
 * The floor under a conversation of two threads: how fast a word goes there
 * and back, by spinning and then a futex, and by a condition variable, which
 * enters the kernel each time.
 */
#include "floor.h"
#include "partner.h"
#include "spin.h"

#include <stdalign.h>
#include <stdatomic.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void sleep_on(atomic_int *word, int seen) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void wake_on(atomic_int *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#else
static void sleep_on(atomic_int *word, int seen) {
  (void)word, (void)seen;
  sched_yield();
}

static void wake_on(atomic_int *word) { (void)word; }
#endif

/* [a] both: 'word' only grows; 'asleep' is set around the reader's sleep. */
struct mailbox {
  alignas(SPIN_LINE) atomic_int word;
  atomic_int asleep;
};

static struct mailbox there, back;

/* The store and the load are seq_cst, and so are the reader's: one of the two
   sees the other, so no wake-up is lost. */
static void post(struct mailbox *box, int value) {
  atomic_store(&box->word, value);
  if (atomic_load(&box->asleep))
    wake_on(&box->word);
}

static void await(struct mailbox *box, int value) {
  for (int i = 0; i < SPIN_LIMIT; i++) {
    if (atomic_load_explicit(&box->word, memory_order_acquire) == value)
      return; /* pairs with the store in post */
    spin_pause();
  }
  atomic_store(&box->asleep, 1);
  for (int seen; (seen = atomic_load(&box->word)) != value;)
    sleep_on(&box->word, seen);
  atomic_store(&box->asleep, 0);
}

static void *echo(void *arg) {
  long n = *(long *)arg;
  for (int i = 1; i <= n; i++) {
    await(&there, i);
    post(&back, i);
  }
  return NULL;
}

static void ping(long n) {
  for (int i = 1; i <= n; i++) {
    post(&there, i);
    await(&back, i);
  }
}

static void ping_pong(long n) {
  atomic_store(&there.word, 0);
  atomic_store(&back.word, 0);
  with_partner(echo, n, ping);
}

static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static long turn; /* guarded by turn_lock; even: the first side's */

static void take_turns(long n, long first) {
  pthread_mutex_lock(&turn_lock);
  for (long i = first; i < 2 * n; i += 2) {
    while (turn != i)
      pthread_cond_wait(&turn_changed, &turn_lock);
    turn++;
    pthread_cond_signal(&turn_changed);
  }
  pthread_mutex_unlock(&turn_lock);
}

static void *cond_echo(void *arg) {
  take_turns(*(long *)arg, 1);
  return NULL;
}

static void cond_ping(long n) { take_turns(n, 0); }

static void cond_ping_pong(long n) {
  turn = 0;
  with_partner(cond_echo, n, cond_ping);
}

int main(void) {
  floor_print("pair.ping_pong", floor_each(ping_pong, 100000) * 1e6, "us");
  floor_print("pair.cond_ping_pong", floor_each(cond_ping_pong, 500) * 1e6,
              "us");
  return 0;
}
