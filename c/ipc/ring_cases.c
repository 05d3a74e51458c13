#include "ipc/ring_cases.h"

#include "base/status.h"
#include "ipc/bell.h"

static void nothing(conc_case *c) { (void)c; }

static conc_ring *ring_of(const conc_case *c) { return c->data; }

static apr_status_t again(apr_status_t st) {
  return APR_STATUS_IS_TIMEUP(st) ? APR_EAGAIN : st;
}

/* All who watch are woken, so nothing is handed on. */
static apr_status_t enter(conc_case *c, conc_sgate *g, conc_waiter *w,
                          conc_parker *self) {
  apr_status_t st = conc_bell_watch(g, w);
  if (st != APR_SUCCESS)
    return st;
  c->due = conc_sys_now() + CONC_BELL_SLICE;
  return c->cls->take(c, self);
}

/* ---- Getting ---- */

static bool item_ready(const conc_case *c) {
  return conc_ring_has_item(ring_of(c));
}

static apr_status_t pop_take(conc_case *c, conc_parker *self) {
  conc_item item;
  apr_status_t st = conc_ring_pop(ring_of(c), &item, self, CONC_NOW);
  if (st != APR_SUCCESS)
    return again(st);
  c->seen = item.tag;
  return conc_cargo_unload(&c->msg, &item);
}

static apr_status_t look_take(conc_case *c, conc_parker *self) {
  (void)self;
  return item_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t item_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  return enter(c, &ring_of(c)->items, w, self);
}

/* ---- Putting ---- */

static bool room_ready(const conc_case *c) {
  return conc_ring_has_room(ring_of(c));
}

static apr_status_t push_wire(conc_case *c, conc_parker *self) {
  const conc_class *what;
  conc_wire w;
  apr_status_t st = conc_wire_encode(&w, &c->msg, &what);
  if (st != APR_SUCCESS)
    return st;
  const conc_load l = {.data = w.data,
                       .size = w.size,
                       .shared = w.shared,
                       .nshared = w.nshared,
                       .tag = CONC_CARGO_WIRE};
  st = conc_ring_push(ring_of(c), &l, self, CONC_NOW);
  conc_wire_fini(&w);
  return st;
}

static apr_status_t push_take(conc_case *c, conc_parker *self) {
  apr_status_t st;
  if (!room_ready(c))
    return APR_EAGAIN;
  if (c->msg.nrefs != 0) {
    st = push_wire(c, self);
  } else {
    const conc_load l = {.data = conc_msg_data(&c->msg), .size = c->msg.size};
    st = conc_ring_push(ring_of(c), &l, self, CONC_NOW);
  }
  if (st == APR_SUCCESS)
    conc_msg_fini(&c->msg);
  return again(st);
}

static apr_status_t room_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  return enter(c, &ring_of(c)->space, w, self);
}

/* ---- Cases ---- */

static const conc_case_class pop_class = {item_ready, pop_take, item_enter,
                                          nothing, nothing},
                             push_class = {room_ready, push_take, room_enter,
                                           nothing, nothing},
                             ready_class = {item_ready, look_take, item_enter,
                                            nothing, nothing};

static void make(conc_case *c, const conc_case_class *cls, conc_obj *o,
                 conc_ring *r) {
  *c = (conc_case){.cls = cls, .obj = o, .data = r, .due = CONC_FOREVER};
}

void conc_case_ring_pop(conc_case *c, conc_obj *o, conc_ring *r) {
  make(c, &pop_class, o, r);
}

void conc_case_ring_push(conc_case *c, conc_obj *o, conc_ring *r) {
  make(c, &push_class, o, r);
}

void conc_case_ring_ready(conc_case *c, conc_obj *o, conc_ring *r) {
  make(c, &ready_class, o, r);
}
