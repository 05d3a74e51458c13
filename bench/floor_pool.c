/*
 * The floor under submit and result: two threads that take what there is
 * from one locked list, and a future, allocated for each task, in which they
 * leave the result.
 */
#include "floor.h"
#include "spin.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { WORKERS = 2 };

struct future {
  struct future *next; /* guarded by the list's lock */
  long arg;
  long result; /* the worker's before 'done', the owner's after */
  atomic_bool done;
};

/* A chain of tasks in order; 'tail' is stale while head == NULL. */
static struct {
  pthread_mutex_t lock;
  struct future *head, *tail;
} tasks = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_bool stopped;

static struct future *submit(long arg) {
  struct future *f = malloc(sizeof *f);
  floor_check(f != NULL, "malloc");
  f->next = NULL;
  f->arg = arg;
  atomic_init(&f->done, false);
  spin_lock(&tasks.lock);
  if (tasks.head == NULL)
    tasks.head = f;
  else
    tasks.tail->next = f;
  tasks.tail = f;
  pthread_mutex_unlock(&tasks.lock);
  return f;
}

/* All tasks that wait, as a chain; NULL when there is none. */
static struct future *take(void) {
  spin_lock(&tasks.lock);
  struct future *first = tasks.head;
  tasks.head = NULL;
  pthread_mutex_unlock(&tasks.lock);
  return first;
}

static void run(struct future *f) {
  while (f != NULL) {
    struct future *next = f->next; /* f is its owner's once it is done */
    f->result = f->arg;
    /* pairs with the acquire in result: who sees it sees the result */
    atomic_store_explicit(&f->done, true, memory_order_release);
    f = next;
  }
}

static void *work(void *arg) {
  for (int steps = 0; !atomic_load(&stopped);) {
    struct future *f = take();
    if (f == NULL) {
      spin_step(&steps);
    } else {
      run(f);
      steps = 0;
    }
  }
  return arg;
}

static long result(struct future *f) {
  int steps = 0;
  while (!atomic_load_explicit(&f->done, memory_order_acquire))
    spin_step(&steps);
  long value = f->result;
  free(f);
  return value;
}

static void submit_result(long n) {
  struct future **futures = malloc((size_t)n * sizeof *futures);
  floor_check(futures != NULL, "malloc");
  for (long i = 0; i < n; i++)
    futures[i] = submit(i);
  for (long i = 0; i < n; i++)
    floor_check(result(futures[i]) == i, "a task");
  free(futures);
}

int main(void) {
  pthread_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    floor_check(pthread_create(&workers[i], NULL, work, NULL) == 0,
                "pthread_create");
  floor_print("pool.submit", 1e-6 / floor_each(submit_result, 100000), "M/s");
  atomic_store(&stopped, true);
  for (int i = 0; i < WORKERS; i++)
    pthread_join(workers[i], NULL);
  return 0;
}
