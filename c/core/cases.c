/* The cases of the things in this layer; see select.h. */

#include "base/status.h"
#include "core/event.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/lock.h"
#include "core/rlock.h"
#include "core/select.h"
#include "core/semaphore.h"
#include "core/thread.h"

static void nothing(conc_case *c) { (void)c; }

/* Of things that stay ready and wake everybody: there is nothing to take. */

static apr_status_t look(conc_case *c, conc_parker *self) {
  (void)self;
  return c->cls->ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static void await(conc_waiter *w, conc_word *word, uint32_t expected) {
  w->word = word;
  w->expected = expected;
}

/* Timer. */

static bool timer_ready(const conc_case *c) { return conc_sys_now() >= c->due; }

static apr_status_t timer_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  (void)self;
  await(w, &c->never, 0);
  return APR_EAGAIN;
}

static const conc_case_class timer_cases = {timer_ready, look, timer_enter,
                                            nothing, nothing};

void conc_case_timer(conc_case *c, conc_time due) {
  *c = (conc_case){.cls = &timer_cases, .due = due};
}

/* Event: set, or set since the case was made. */

static bool event_ready(const conc_case *c) {
  const conc_event *e = (const conc_event *)c->obj;
  return (c->seen & 1) != 0 || conc_event_look(e) != c->seen;
}

static apr_status_t event_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  await(w, &((conc_event *)c->obj)->word, c->seen);
  return look(c, self);
}

static const conc_case_class event_cases = {event_ready, look, event_enter,
                                            nothing, nothing};

/* Future: done. */

static bool future_ready(const conc_case *c) {
  return conc_future_done((const conc_future *)c->obj);
}

static apr_status_t future_enter(conc_case *c, conc_waiter *w,
                                 conc_parker *self) {
  conc_future *f = (conc_future *)c->obj;
  (void)self;
  w->word = &f->word;
  return conc_future_prepare(f, &w->expected) ? APR_EAGAIN : APR_SUCCESS;
}

static const conc_case_class future_cases = {future_ready, look, future_enter,
                                             nothing, nothing};

/* Thread: its end. */

static bool thread_ready(const conc_case *c) {
  return !conc_thread_alive((const conc_thread *)c->obj);
}

static apr_status_t thread_enter(conc_case *c, conc_waiter *w,
                                 conc_parker *self) {
  await(w, &((conc_thread *)c->obj)->stage, CONC_THREAD_STARTED);
  return look(c, self);
}

static const conc_case_class thread_cases = {thread_ready, look, thread_enter,
                                             nothing, nothing};

/* Semaphore: a permit. */

static conc_semaphore *semaphore_of(const conc_case *c) {
  return (conc_semaphore *)c->obj;
}

static bool semaphore_ready(const conc_case *c) {
  return conc_semaphore_value(semaphore_of(c)) != 0;
}

static void semaphore_decline(conc_case *c) {
  if (semaphore_ready(c))
    conc_gate_notify(&semaphore_of(c)->gate);
}

static apr_status_t semaphore_take(conc_case *c, conc_parker *self) {
  (void)self;
  if (!conc_semaphore_try(semaphore_of(c)))
    return APR_EAGAIN;
  semaphore_decline(c); /* the rule of gate.h: for the rest */
  return APR_SUCCESS;
}

static void semaphore_leave(conc_case *c) {
  conc_gate_leave(&semaphore_of(c)->gate, c->chosen);
}

static apr_status_t semaphore_enter(conc_case *c, conc_waiter *w,
                                    conc_parker *self) {
  conc_gate *g = &semaphore_of(c)->gate;
  conc_gate_enter(g, w);
  apr_status_t st = semaphore_take(c, self);
  if (st != APR_EAGAIN)
    conc_gate_leave(g, false);
  return st;
}

static const conc_case_class semaphore_cases = {
  semaphore_ready, semaphore_take, semaphore_enter, semaphore_leave,
  semaphore_decline};

/* Lock. */

static bool lock_ready(const conc_case *c) {
  return c->effort.chosen || !conc_latch_held(c->effort.word);
}

static apr_status_t lock_take(conc_case *c, conc_parker *self) {
  (void)self;
  return conc_latch_take(&c->effort) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t lock_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  (void)self;
  return conc_latch_enter(&c->effort, w) ? APR_SUCCESS : APR_EAGAIN;
}

static void lock_leave(conc_case *c) { c->effort.chosen = c->chosen; }

static void lock_decline(conc_case *c) { conc_latch_decline(&c->effort); }

static const conc_case_class lock_cases = {lock_ready, lock_take, lock_enter,
                                           lock_leave, lock_decline};

/* RLock: the same, and it is always there for the thread that holds it. */

static conc_rlock *rlock_of(const conc_case *c) { return (conc_rlock *)c->obj; }

/* The hint does not know who asks: the holder finds out by 'take'. */
static bool rlock_ready(const conc_case *c) {
  return lock_ready(c) || conc_rlock_owned(rlock_of(c), c->data);
}

static apr_status_t rlock_take(conc_case *c, conc_parker *self) {
  conc_rlock *l = rlock_of(c);
  if (conc_rlock_owned(l, self))
    return conc_rlock_acquire(l, self, CONC_NOW);
  if (!conc_latch_take(&c->effort))
    return APR_EAGAIN;
  conc_rlock_taken(l, self);
  return APR_SUCCESS;
}

static apr_status_t rlock_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  if (!conc_latch_enter(&c->effort, w))
    return APR_EAGAIN;
  conc_rlock_taken(rlock_of(c), self);
  return APR_SUCCESS;
}

static const conc_case_class rlock_cases = {
  rlock_ready, rlock_take, rlock_enter, lock_leave, lock_decline};

/* Queue. */

static conc_queue *queue_of(const conc_case *c) { return (conc_queue *)c->obj; }

static apr_status_t again(apr_status_t st) {
  return APR_STATUS_IS_TIMEUP(st) ? APR_EAGAIN : st;
}

static bool pop_ready(const conc_case *c) {
  return conc_queue_ready(queue_of(c), false);
}

static apr_status_t pop_take(conc_case *c, conc_parker *self) {
  conc_queue *q = queue_of(c);
  conc_priority *prio = c->obj->cls == &conc_queue_priority ? &c->prio : NULL;
  return again(conc_queue_pop(q, &c->msg, prio, self, CONC_NOW));
}

static bool push_ready(const conc_case *c) {
  return conc_queue_ready(queue_of(c), true);
}

static apr_status_t push_take(conc_case *c, conc_parker *self) {
  conc_queue *q = queue_of(c);
  conc_priority *prio = c->obj->cls == &conc_queue_priority ? &c->prio : NULL;
  return again(conc_queue_push(q, &c->msg, prio, self, CONC_NOW));
}

static apr_status_t enter_queue(conc_case *c, conc_waiter *w, bool push,
                                conc_parker *self) {
  conc_gate *g = conc_queue_gate(queue_of(c), push);
  conc_gate_enter(g, w);
  apr_status_t st = c->cls->take(c, self);
  if (st != APR_EAGAIN)
    conc_gate_leave(g, false);
  return st;
}

static void decline_queue(const conc_case *c, bool push) {
  if (conc_queue_ready(queue_of(c), push))
    conc_gate_notify(conc_queue_gate(queue_of(c), push));
}

static apr_status_t pop_enter(conc_case *c, conc_waiter *w, conc_parker *self) {
  return enter_queue(c, w, false, self);
}

static void pop_leave(conc_case *c) {
  conc_gate_leave(conc_queue_gate(queue_of(c), false), c->chosen);
}

static void pop_decline(conc_case *c) { decline_queue(c, false); }

static const conc_case_class pop_cases = {pop_ready, pop_take, pop_enter,
                                          pop_leave, pop_decline};

static apr_status_t push_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  return enter_queue(c, w, true, self);
}

static void push_leave(conc_case *c) {
  conc_gate_leave(conc_queue_gate(queue_of(c), true), c->chosen);
}

static void push_decline(conc_case *c) { decline_queue(c, true); }

static const conc_case_class push_cases = {push_ready, push_take, push_enter,
                                           push_leave, push_decline};

void conc_case_pop(conc_case *c, conc_queue *q) {
  *c =
    (conc_case){.cls = &pop_cases, .obj = (conc_obj *)q, .due = CONC_FOREVER};
}

void conc_case_push(conc_case *c, conc_queue *q) {
  *c =
    (conc_case){.cls = &push_cases, .obj = (conc_obj *)q, .due = CONC_FOREVER};
}

/* The tasks of a pool. */

static bool tasks_ready(const conc_case *c) { return conc_pool_ready(c->data); }

static apr_status_t tasks_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  conc_gate *g = conc_pool_gate(c->data);
  conc_gate_enter(g, w);
  apr_status_t st = look(c, self);
  if (st != APR_EAGAIN)
    conc_gate_leave(g, false);
  return st;
}

static void tasks_leave(conc_case *c) {
  conc_gate_leave(conc_pool_gate(c->data), c->chosen);
}

static void tasks_decline(conc_case *c) {
  if (tasks_ready(c))
    conc_gate_notify(conc_pool_gate(c->data));
}

static const conc_case_class tasks_cases = {tasks_ready, look, tasks_enter,
                                            tasks_leave, tasks_decline};

void conc_case_tasks(conc_case *c, conc_pool *p) {
  *c = (conc_case){.cls = &tasks_cases, .data = p, .due = CONC_FOREVER};
}

/* Any of them. */

bool conc_case_of(conc_case *c, conc_obj *o, conc_parker *self) {
  *c = (conc_case){.obj = o, .due = CONC_FOREVER};
  if (o->cls == &conc_future_class) {
    c->cls = &future_cases;
  } else if (o->cls == &conc_thread_class) {
    c->cls = &thread_cases;
  } else if (o->cls == &conc_event_class) {
    c->cls = &event_cases;
    c->seen = conc_event_look((const conc_event *)o);
  } else if (o->cls == &conc_semaphore_class || o->cls == &conc_bounded_class) {
    c->cls = &semaphore_cases;
  } else if (o->cls == &conc_lock_class) {
    c->cls = &lock_cases;
    c->effort.word = &((conc_lock *)o)->latch;
  } else if (o->cls == &conc_rlock_class) {
    c->cls = &rlock_cases;
    c->effort.word = &((conc_rlock *)o)->latch;
    c->data = self;
  }
  return c->cls != NULL;
}
