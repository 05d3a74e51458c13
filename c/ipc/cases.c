#include "ipc/cases.h"

#include "base/mem.h"
#include "base/status.h"

static void nothing(conc_case *c) { (void)c; }

/* ---- Processes ---- */

static bool process_ready(const conc_case *c) {
  const conc_process *p = (const conc_process *)c->obj;
  return atomic_load(&p->stage) == CONC_PROCESS_DONE;
}

static apr_status_t process_take(conc_case *c, conc_parker *self) {
  (void)self;
  return process_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t process_enter(conc_case *c, conc_waiter *w,
                                  conc_parker *self) {
  conc_process *p = (conc_process *)c->obj;
  w->word = &p->stage;
  w->expected = atomic_load(w->word);
  return process_take(c, self);
}

static const conc_case_class process_class = {process_ready, process_take,
                                              process_enter, nothing, nothing};

void conc_case_process(conc_case *c, conc_process *p) {
  *c = (conc_case){.cls = &process_class, .obj = &p->obj, .due = CONC_FOREVER};
}

/* ---- Handles ---- */

/*
 * What a case has while it is entered: a watch of its own, on a copy of the
 * handle, since others may close that one meanwhile.
 */
struct entered {
  conc_sys_watch watch;
  conc_word word;
};

static bool on_ready(conc_sys_watch *w) {
  struct entered *e = (struct entered *)(void *)w;
  atomic_store(&e->word, 1);
  conc_wake(&e->word, CONC_ALL);
  return false;
}

static apr_status_t watch(conc_case *c, conc_waiter *w, conc_handle h) {
  struct entered *e = conc_alloc(sizeof *e);
  if (e == NULL)
    return APR_ENOMEM;
  conc_handle copy;
  apr_status_t st = conc_sys_copy(h, &copy);
  *e = (struct entered){.watch = {copy, CONC_READABLE, on_ready, 0}};
  if (st == APR_SUCCESS &&
      (st = conc_sys_watch_start(&e->watch)) != APR_SUCCESS)
    conc_sys_close(copy);
  if (st != APR_SUCCESS) {
    conc_free(e);
    return st;
  }
  w->word = &e->word;
  w->expected = 0;
  c->entered = e;
  c->abroad = true;
  return APR_EAGAIN;
}

static void leave(conc_case *c) {
  struct entered *e = c->entered;
  (void)conc_sys_watch_stop(&e->watch);
  conc_sys_close(e->watch.handle);
  conc_free(e);
  c->entered = NULL;
}

static conc_handle handle_of(const conc_case *c) {
  return (conc_handle)(intptr_t)c->data;
}

static bool handle_ready(const conc_case *c) {
  return conc_sys_ready(handle_of(c), CONC_READABLE);
}

static apr_status_t handle_take(conc_case *c, conc_parker *self) {
  (void)self;
  return handle_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

/* What is ready already changes the word at once. */
static apr_status_t handle_enter(conc_case *c, conc_waiter *w,
                                 conc_parker *self) {
  (void)self;
  return watch(c, w, handle_of(c));
}

static const conc_case_class handle_class = {handle_ready, handle_take,
                                             handle_enter, leave, nothing};

void conc_case_handle(conc_case *c, conc_handle h) {
  *c =
    (conc_case){.cls = &handle_class, .data = (void *)h, .due = CONC_FOREVER};
}

/* ---- Listeners ---- */

static bool listener_ready(const conc_case *c) {
  const conc_listener *l = (const conc_listener *)c->obj;
  return atomic_load(&l->closed) != 0 ||
         conc_sys_ready(l->handle, CONC_READABLE);
}

static apr_status_t listener_take(conc_case *c, conc_parker *self) {
  (void)self;
  return listener_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t listener_enter(conc_case *c, conc_waiter *w,
                                   conc_parker *self) {
  const conc_listener *l = (const conc_listener *)c->obj;
  if (listener_ready(c))
    return listener_take(c, self);
  return watch(c, w, l->handle);
}

static const conc_case_class listener_class = {listener_ready, listener_take,
                                               listener_enter, leave, nothing};

void conc_case_acceptable(conc_case *c, conc_listener *l) {
  *c = (conc_case){.cls = &listener_class, .obj = &l->obj, .due = CONC_FOREVER};
}

/* ---- Connections ---- */

/* The parker is not asked for by what does not wait. */
static bool conn_ready(const conc_case *c) {
  return conc_conn_ready((conc_conn *)c->obj, NULL);
}

static apr_status_t readable_take(conc_case *c, conc_parker *self) {
  (void)self;
  return conn_ready(c) ? APR_SUCCESS : APR_EAGAIN;
}

static apr_status_t receive_take(conc_case *c, conc_parker *self) {
  apr_status_t st = conc_conn_receive((conc_conn *)c->obj, self, CONC_NOW);
  if (APR_STATUS_IS_TIMEUP(st))
    return APR_EAGAIN;
  return st == CONC_MISUSE ? CONC_CLOSED : st;
}

/* Bytes that came before the watch are in the socket, or make a message. */
static apr_status_t conn_enter(conc_case *c, conc_waiter *w,
                               conc_parker *self) {
  const conc_conn *conn = (const conc_conn *)c->obj;
  apr_status_t st = watch(c, w, conn->handle);
  if (st != APR_EAGAIN)
    return atomic_load(&conn->closed) != 0 ? c->cls->take(c, self) : st;
  st = c->cls->take(c, self);
  if (st != APR_EAGAIN)
    leave(c);
  return st;
}

static const conc_case_class readable_class = {conn_ready, readable_take,
                                               conn_enter, leave, nothing},
                             receive_class = {conn_ready, receive_take,
                                              conn_enter, leave, nothing};

void conc_case_readable(conc_case *c, conc_conn *conn) {
  *c =
    (conc_case){.cls = &readable_class, .obj = &conn->obj, .due = CONC_FOREVER};
}

void conc_case_receive(conc_case *c, conc_conn *conn) {
  *c =
    (conc_case){.cls = &receive_class, .obj = &conn->obj, .due = CONC_FOREVER};
}
