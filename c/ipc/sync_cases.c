#include "ipc/sync_cases.h"

#include "base/status.h"
#include "ipc/bell.h"

static void nothing(conc_case *c) { (void)c; }

static apr_status_t watch(conc_case *c, conc_sgate *g, conc_waiter *w) {
  c->due = conc_sys_now() + CONC_BELL_SLICE;
  return conc_bell_watch(g, w);
}

/* ---- Event ---- */

static conc_sevent *event_of(const conc_case *c) {
  return (conc_sevent *)c->obj;
}

static bool event_ready(const conc_case *c) {
  return (c->seen & 1) != 0 || conc_sevent_look(event_of(c)) != c->seen;
}

static apr_status_t event_take(conc_case *c, conc_parker *self) {
  (void)self;
  return event_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t event_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  apr_status_t st = watch(c, &conc_sevent_at(event_of(c))->gate, w);
  return st == APR_SUCCESS ? event_take(c, self) : st;
}

static const conc_case_class event_class = {event_ready, event_take,
                                            event_enter, nothing, nothing};

void conc_case_sevent(conc_case *c, conc_sevent *e) {
  *c = (conc_case){.cls = &event_class,
                   .obj = &e->proxy.obj,
                   .due = CONC_FOREVER,
                   .seen = conc_sevent_look(e)};
}

/* What a class that can be abandoned says. */
static apr_status_t told(conc_case *c, apr_status_t st) {
  c->seen = st == CONC_ABANDONED;
  if (st == CONC_ABANDONED)
    return APR_SUCCESS;
  return APR_STATUS_IS_TIMEUP(st) ? APR_EAGAIN : st;
}

/* ---- Semaphore ---- */

static conc_ssemaphore *semaphore_of(const conc_case *c) {
  return (conc_ssemaphore *)c->obj;
}

static bool semaphore_ready(const conc_case *c) {
  return conc_ssemaphore_value(semaphore_of(c)) != 0;
}

static apr_status_t semaphore_take(conc_case *c, conc_parker *self) {
  (void)self;
  return told(c, conc_ssemaphore_try(semaphore_of(c)));
}

static apr_status_t semaphore_enter(conc_case *c, conc_waiter *w,
                                    conc_parker *self) {
  apr_status_t st = watch(c, &conc_ssemaphore_at(semaphore_of(c))->gate, w);
  return st == APR_SUCCESS ? semaphore_take(c, self) : st;
}

static const conc_case_class semaphore_class = {
  semaphore_ready, semaphore_take, semaphore_enter, nothing, nothing};

void conc_case_ssemaphore(conc_case *c, conc_ssemaphore *s) {
  *c = (conc_case){
    .cls = &semaphore_class, .obj = &s->proxy.obj, .due = CONC_FOREVER};
}

/* ---- Locks ---- */

/*
 * Until it is taken, 'data' is the holder that was found dead when the case was
 * made: to ask in a loop would cost too much, and later 'enter' does.
 * 'entered' says that it has slept.
 */
static bool latch_ready(const conc_case *c, const conc_word *latch) {
  uint32_t owner = conc_robust_owner(latch);
  return owner == 0 || owner == (uintptr_t)c->data;
}

static void note_dead(conc_case *c, const conc_word *latch) {
  uint32_t owner = conc_robust_owner(latch);
  if (owner != 0 && !conc_heap_alive(owner))
    c->data = (void *)(uintptr_t)owner; // NOLINT: a number
}

static conc_slock *lock_of(const conc_case *c) { return (conc_slock *)c->obj; }

static bool lock_ready(const conc_case *c) {
  return latch_ready(c, &conc_slock_at(lock_of(c))->latch);
}

static apr_status_t lock_take(conc_case *c, conc_parker *self) {
  return told(c, conc_slock_acquire(lock_of(c), self, CONC_NOW));
}

static apr_status_t lock_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  (void)self;
  conc_slock_word *at = conc_slock_at(lock_of(c));
  apr_status_t st = watch(c, &at->gate, w);
  if (st == APR_SUCCESS)
    st = told(c, conc_slock_enter(at, c->entered != NULL));
  c->entered = c;
  return st;
}

static const conc_case_class lock_class = {lock_ready, lock_take, lock_enter,
                                           nothing, nothing};

void conc_case_slock(conc_case *c, conc_slock *l) {
  *c =
    (conc_case){.cls = &lock_class, .obj = &l->proxy.obj, .due = CONC_FOREVER};
  note_dead(c, &conc_slock_at(l)->latch);
}

static conc_srlock *rlock_of(const conc_case *c) {
  return (conc_srlock *)c->obj;
}

static const conc_word *rlock_latch(const conc_srlock *l) {
  return &conc_srlock_at(l)->lock.latch;
}

static bool rlock_ready(const conc_case *c) {
  return latch_ready(c, rlock_latch(rlock_of(c)));
}

static apr_status_t rlock_take(conc_case *c, conc_parker *self) {
  return told(c, conc_srlock_acquire(rlock_of(c), self, CONC_NOW));
}

static apr_status_t rlock_enter(conc_case *c, conc_waiter *w,
                                conc_parker *self) {
  conc_srlock *l = rlock_of(c);
  apr_status_t st = watch(c, &conc_srlock_at(l)->lock.gate, w);
  if (st == APR_SUCCESS)
    st = told(c, conc_srlock_enter(l, self, c->entered != NULL));
  c->entered = c;
  return st;
}

static const conc_case_class rlock_class = {rlock_ready, rlock_take,
                                            rlock_enter, nothing, nothing};

/* The holder's own is always there. */
static bool own_ready(const conc_case *c) {
  (void)c;
  return true;
}

static const conc_case_class own_class = {own_ready, rlock_take, rlock_enter,
                                          nothing, nothing};

void conc_case_srlock(conc_case *c, conc_srlock *l, const conc_parker *self) {
  bool own = conc_srlock_owned(l, self);
  *c = (conc_case){.cls = own ? &own_class : &rlock_class,
                   .obj = &l->proxy.obj,
                   .due = CONC_FOREVER};
  if (!own)
    note_dead(c, rlock_latch(l));
}
