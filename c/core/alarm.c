#include "core/alarm.h"

#include "base/mem.h"
#include "base/status.h"
#include "core/deadlock.h"
#include "core/shield.h"
#include "wait/lot.h"
#include "wait/mutex.h"

enum { NONE, STARTING, RUNNING };

static const size_t STACK = 2 << 20; /* as other threads have, see carrier.c */

/*
 * heap[0] is the first to ring; the heap of alarms is ordered by 'at', and each
 * knows its place in it.  The thread sleeps on 'news', which changes when
 * another alarm becomes the first, and at the end.
 *   [c] constant after new   [l] lock, a leaf   [a] atomic
 */
struct conc_clock {
  conc_crew *crew; /* [c] */
  conc_word lock;
  conc_alarm **heap; /* [l] each a reference */
  size_t n, room;    /* [l] */
  bool closed;       /* [l] */
  conc_word running; /* [a] is the thread there?  See start */
  conc_word news;    /* [a] */
};

static void alarm_destroy(conc_obj *o) {
  conc_alarm *a = (conc_alarm *)o;
  conc_msg_fini(&a->msg);
  conc_release(a->target);
  conc_obj_free(o);
}

static const conc_class alarm_class = {"alarm", alarm_destroy};

apr_status_t conc_alarm_new(conc_alarm **out, conc_obj *target,
                            void (*ring)(conc_alarm *), conc_msg *msg) {
  conc_alarm *a = conc_obj_new(&alarm_class, sizeof *a);
  if (a == NULL)
    return APR_ENOMEM;
  a->target = conc_retain(target);
  a->ring = ring;
  if (msg != NULL)
    a->msg = conc_msg_take(msg);
  *out = a;
  return APR_SUCCESS;
}

apr_status_t conc_clock_new(conc_clock **out, conc_crew *crew) {
  conc_clock *c = conc_alloc(sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  *c = (conc_clock){.crew = crew};
  *out = c;
  return APR_SUCCESS;
}

/* ---- The heap ---- */

static void put_locked(conc_clock *c, conc_alarm *a, size_t i) {
  c->heap[i] = a;
  a->place = i + 1;
}

static void rise_locked(conc_clock *c, conc_alarm *a, size_t i) {
  for (; i > 0 && a->at < c->heap[(i - 1) / 2]->at; i = (i - 1) / 2)
    put_locked(c, c->heap[(i - 1) / 2], i);
  put_locked(c, a, i);
}

static void sink_locked(conc_clock *c, conc_alarm *a, size_t i) {
  for (size_t child; (child = 2 * i + 1) < c->n; i = child) {
    if (child + 1 < c->n && c->heap[child + 1]->at < c->heap[child]->at)
      child++;
    if (a->at <= c->heap[child]->at)
      break;
    put_locked(c, c->heap[child], i);
  }
  put_locked(c, a, i);
}

static void take_locked(conc_clock *c, conc_alarm *a) {
  size_t i = a->place - 1;
  conc_alarm *last = c->heap[--c->n];
  a->place = 0;
  if (last == a)
    return;
  if (i > 0 && last->at < c->heap[(i - 1) / 2]->at)
    rise_locked(c, last, i);
  else
    sink_locked(c, last, i);
}

static bool make_room_locked(conc_clock *c) {
  if (c->n < c->room)
    return true;
  size_t room = c->room == 0 ? 16 : 2 * c->room;
  conc_alarm **bigger = conc_realloc(c->heap, room * sizeof *bigger);
  if (bigger == NULL)
    return false;
  c->heap = bigger;
  c->room = room;
  return true;
}

/* ---- The thread ---- */

static void tell(conc_clock *c) {
  atomic_fetch_add(&c->news, 1);
  conc_wake(&c->news, CONC_ALL);
}

/* The next alarm that is due, which is the caller's; or NULL and when to look
   again; *closed: never. */
static conc_alarm *next_due(conc_clock *c, conc_time *until, bool *closed) {
  conc_alarm *a = NULL;
  conc_mutex_lock(&c->lock);
  *closed = c->closed;
  *until = c->n == 0 ? CONC_FOREVER : c->heap[0]->at;
  if (!c->closed && c->n > 0 && *until <= conc_sys_now()) {
    a = c->heap[0];
    take_locked(c, a);
  }
  conc_mutex_unlock(&c->lock);
  return a;
}

static void run(void *arg, void *prepared, conc_parker *self) {
  conc_clock *c = arg;
  bool closed = false;
  (void)prepared; /* a carrier with its own stack has none */
  conc_sys_name_thread("conc-clock");
  atomic_store(&c->running, RUNNING);
  while (!closed) {
    conc_time until;
    uint32_t seen = atomic_load(&c->news);
    conc_alarm *a = next_due(c, &until, &closed);
    if (a != NULL) {
      a->ring(a);
      conc_outside(-1);
      conc_release(&a->obj);
    } else if (!closed) {
      conc_waiter one = {.word = &c->news, .expected = seen};
      size_t which;
      (void)conc_wait_any(&one, 1, &which, self, until);
    }
  }
  atomic_store(&c->running, NONE);
  conc_wake(&c->running, CONC_ALL);
}

static bool is_closed(conc_clock *c) {
  conc_mutex_lock(&c->lock);
  bool closed = c->closed;
  conc_mutex_unlock(&c->lock);
  return closed;
}

/*
 * See that the thread is there.  Who finds that another one is starting it
 * learns what comes of that, or its alarm might never ring.  Who closes sets
 * 'closed' first and then waits until nothing runs or starts; who starts looks
 * for 'closed' after it has said so.
 */
static apr_status_t start(conc_clock *c) {
  uint32_t is = NONE;
  while (!atomic_compare_exchange_strong(&c->running, &is, STARTING)) {
    if (is == RUNNING)
      return APR_SUCCESS;
    is = NONE;
    conc_sys_yield();
  }
  conc_job job = {.run = run, .arg = c, .stack = STACK};
  apr_status_t st = is_closed(c) ? CONC_CLOSED : conc_crew_run(c->crew, &job);
  is = STARTING; /* the thread may have said more already */
  (void)atomic_compare_exchange_strong(&c->running, &is,
                                       st == APR_SUCCESS ? RUNNING : NONE);
  conc_wake(&c->running, CONC_ALL);
  return st;
}

/* ---- Alarms ---- */

apr_status_t conc_clock_set(conc_clock *c, conc_alarm *a, conc_time at) {
  apr_status_t st = start(c);
  if (st != APR_SUCCESS)
    return st;
  a->at = at;
  conc_mutex_lock(&c->lock);
  if (c->closed) {
    st = CONC_CLOSED;
  } else if (!make_room_locked(c)) {
    st = APR_ENOMEM;
  } else {
    conc_retain(&a->obj);
    conc_outside(1); /* until it has rung */
    rise_locked(c, a, c->n++);
  }
  bool first = a->place == 1;
  conc_mutex_unlock(&c->lock);
  if (first)
    tell(c);
  return st;
}

void conc_clock_clear(conc_clock *c, conc_alarm *a) {
  conc_mutex_lock(&c->lock);
  bool inside = a->place != 0;
  if (inside)
    take_locked(c, a);
  conc_mutex_unlock(&c->lock);
  if (!inside)
    return;
  conc_outside(-1);
  conc_release(&a->obj);
}

void conc_clock_close(conc_clock *c, conc_parker *self) {
  conc_mutex_lock(&c->lock);
  c->closed = true;
  conc_mutex_unlock(&c->lock);
  tell(c);
  uint32_t is;
  conc_shield_up(self);
  while ((is = atomic_load(&c->running)) != NONE)
    (void)conc_wait(&c->running, is, self, CONC_FOREVER);
  conc_shield_down(self);
  /* A thread that was abandoned may still clear an alarm. */
  conc_mutex_lock(&c->lock);
  conc_alarm **heap = c->heap;
  size_t n = c->n;
  for (size_t i = 0; i < n; i++)
    heap[i]->place = 0;
  c->heap = NULL;
  c->n = c->room = 0;
  conc_mutex_unlock(&c->lock);
  for (size_t i = 0; i < n; i++) {
    conc_outside(-1);
    conc_release(&heap[i]->obj);
  }
  conc_free(heap);
}

void conc_clock_free(conc_clock *c) {
  if (c == NULL)
    return;
  conc_free(c->heap);
  conc_free(c);
}
