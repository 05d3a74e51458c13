/*
 * Why no wake-up is lost.  A waiter is queued under its bucket's lock, after
 * the comparison of the word, in one critical section.  A waker changes the
 * word first and then takes the same lock.  So either the comparison sees the
 * change, or the waker finds the waiter.
 *
 * Who ends a wait.  'claim' goes from 0 to its final value once, by compare
 * and exchange: to i + 1 by a waker that took the wait's i-th waiter out of
 * its queue, or to GONE by the sleeper itself (deadline, cancel, interrupt, a
 * word that had changed).  A waker whose exchange fails goes on to the next
 * waiter, so a wake is never spent on somebody who has left.
 *
 * Whose memory.  Waiters and sleeper live on the sleeping thread's stack.  The
 * waker reads what it needs before the exchange, and touches neither after
 * it; before a sleeper returns it has passed through the lock of every bucket
 * in which it may still be queued.
 */

#include "wait/lot.h"

#include "base/status.h"
#include "wait/mutex.h"
#include "wait/spin.h"

enum { NBUCKETS = 1024, BATCH = 32, GONE = 0x7fffffff };

struct conc_sleeper {
  conc_parker *parker;
  conc_word claim;
};

typedef struct bucket {
  _Alignas(64) conc_word lock;
  conc_waiter *first, *last; /* [l] */
} bucket;

static bucket buckets[NBUCKETS];

static bucket *bucket_of(const conc_word *w) {
  uint64_t h = (uint64_t)(uintptr_t)w * 0x9e3779b97f4a7c15u;
  return &buckets[h >> 54];
}

_Static_assert(NBUCKETS == 1 << (64 - 54), "the hash names every bucket");

/* What a waiter in a queue of this process says of itself. */
static uint32_t here(void) { return conc_mutex_process + 1; }

/*
 * A process was forked: whoever was queued is not there.  But for the thread
 * that forked, when it did so in a hook that ran in the middle of a wait: its
 * waiters say another number, and are taken for gone.
 */
static void forked(void) {
  for (int i = 0; i < NBUCKETS; i++)
    if (buckets[i].first != NULL)
      buckets[i].first = buckets[i].last = NULL;
}

void conc_wait_mind_forks(void) {
  static conc_word minded;
  if (atomic_exchange(&minded, 1) != 0)
    return;
  conc_mutex_mind_forks();
  conc_sys_at_fork(forked);
}

static void append_locked(bucket *b, conc_waiter *w) {
  w->next = NULL;
  w->prev = b->last;
  if (b->last != NULL)
    b->last->next = w;
  else
    b->first = w;
  b->last = w;
  w->queued = here();
}

static void unlink_locked(bucket *b, conc_waiter *w) {
  if (w->prev != NULL)
    w->prev->next = w->next;
  else
    b->first = w->next;
  if (w->next != NULL)
    w->next->prev = w->prev;
  else
    b->last = w->prev;
  w->queued = 0;
}

/* Queue the waiter unless its word has changed. */
static bool enqueue(conc_waiter *w) {
  bucket *b = bucket_of(w->word);
  conc_mutex_lock(&b->lock);
  bool same = atomic_load(w->word) == w->expected;
  if (same)
    append_locked(b, w);
  conc_mutex_unlock(&b->lock);
  return same;
}

static void dequeue(conc_waiter *w) {
  bucket *b = bucket_of(w->word);
  conc_mutex_lock(&b->lock);
  if (w->queued == here())
    unlink_locked(b, w);
  conc_mutex_unlock(&b->lock);
}

/* Leave with 'st', unless a waker was faster. */
static apr_status_t leave(struct conc_sleeper *s, apr_status_t st) {
  uint32_t zero = 0;
  return atomic_compare_exchange_strong(&s->claim, &zero, GONE) ? st
                                                                : APR_SUCCESS;
}

/*
 * Has the watcher found that nobody can end the wait that p is in?  Then nobody
 * does, also if the end of another one's wait would: all of them are told.
 * Between waits 'wait' is a number that no wait has had: a waiter is in its
 * queue, and may be chosen, before its wait has a number.
 */
static bool doomed(const conc_parker *p) {
  return atomic_load(&p->doomed) == atomic_load(&p->wait);
}

/* For conc_parker's 'wait'. */
static void begin_wait(conc_parker *self, conc_time deadline) {
  uint64_t kind = CONC_WAIT_ENDLESS;
  if (deadline != CONC_FOREVER || self->shield != 0 || self->abroad)
    kind = CONC_WAIT_BOUNDED;
  else if (self->idle)
    kind = CONC_WAIT_IDLE;
  self->since = conc_sys_now();
  /* Release: what the owner did before is seen by who sees that it waits. */
  uint64_t v = atomic_load_explicit(&self->wait, memory_order_relaxed);
  atomic_store_explicit(&self->wait, v | kind, memory_order_release);
}

static void end_wait(conc_parker *self) {
  uint64_t v = atomic_load_explicit(&self->wait, memory_order_relaxed);
  atomic_store_explicit(&self->wait, (v | CONC_WAIT_KIND) + 1,
                        memory_order_release);
}

/*
 * Answer the watcher's question 'look': this wait is not over.  The question
 * was read before 'claim' is, so that the answer is true of a moment after it.
 */
static void vouch(const struct conc_sleeper *s, uint64_t look) {
  conc_parker *self = s->parker;
  if (atomic_load_explicit(&self->vouched, memory_order_relaxed) != look &&
      atomic_load(&s->claim) == 0)
    atomic_store(&self->vouched, look);
}

static apr_status_t sleep_until(struct conc_sleeper *s, conc_time deadline) {
  conc_parker *self = s->parker;
  apr_status_t st = APR_SUCCESS;
  begin_wait(self, deadline);
  while (atomic_load(&s->claim) == 0) {
    uint64_t look = atomic_load(&self->look);
    st = conc_parker_expired(self, deadline);
    if (st == APR_SUCCESS && doomed(self))
      st = CONC_DEADLOCK;
    if (st != APR_SUCCESS)
      break;
    vouch(s, look);
    self->cls->park(self, conc_parker_slice(self, deadline));
  }
  if (st != APR_SUCCESS)
    st = leave(s, st);
  end_wait(self); /* after that: see choose_locked */
  return st;
}

apr_status_t conc_wait_any(conc_waiter *list, size_t n, size_t *which,
                           conc_parker *self, conc_time deadline) {
  struct conc_sleeper s = {.parker = self};
  apr_status_t st = APR_SUCCESS;
  size_t queued = 0;
  while (queued < n) {
    list[queued].sleeper = &s;
    list[queued].index = (uint32_t)queued;
    if (!enqueue(&list[queued]))
      break;
    queued++;
  }
  if (queued < n) {
    *which = queued;
    st = leave(&s, APR_EAGAIN);
  } else {
    st = sleep_until(&s, deadline);
  }
  size_t chosen = st == APR_SUCCESS ? atomic_load(&s.claim) - 1 : n;
  if (chosen < n)
    *which = chosen;
  for (size_t i = 0; i < queued; i++)
    if (i != chosen)
      dequeue(&list[i]);
  return st;
}

static bool changed(const void *waiter) {
  const conc_waiter *w = waiter;
  /* Acquire: pairs with the write of whoever changed the word. */
  return atomic_load_explicit(w->word, memory_order_acquire) != w->expected;
}

apr_status_t conc_wait(conc_word *w, uint32_t expected, conc_parker *self,
                       conc_time deadline) {
  conc_waiter one = {.word = w, .expected = expected};
  size_t which;
  if (deadline == CONC_NOW)
    return changed(&one) ? APR_EAGAIN : APR_TIMEUP;
  if (conc_spin(self, changed, &one))
    return APR_EAGAIN;
  return conc_wait_any(&one, 1, &which, self, deadline);
}

/* Take up to n waits on 'w' out of the bucket; returns how many. */
static size_t choose_locked(bucket *b, conc_word *w, size_t n,
                            conc_parker **chosen) {
  size_t found = 0;
  conc_waiter *next;
  for (conc_waiter *it = b->first; it != NULL && found < n; it = next) {
    next = it->next;
    if (it->word != w)
      continue;
    unlink_locked(b, it);
    struct conc_sleeper *s = it->sleeper;
    conc_parker *p = s->parker;
    uint32_t index = it->index;
    uint32_t zero = 0;
    if (!doomed(p) &&
        atomic_compare_exchange_strong(&s->claim, &zero, index + 1))
      chosen[found++] = p;
  }
  return found;
}

size_t conc_wake(conc_word *w, size_t n) {
  bucket *b = bucket_of(w);
  size_t woken = 0, found;
  do {
    conc_parker *chosen[BATCH];
    size_t want = n - woken < BATCH ? n - woken : BATCH;
    conc_mutex_lock(&b->lock);
    found = choose_locked(b, w, want, chosen);
    conc_mutex_unlock(&b->lock);
    for (size_t i = 0; i < found; i++)
      chosen[i]->cls->unpark(chosen[i]);
    woken += found;
  } while (found == BATCH && woken < n);
  return woken;
}
