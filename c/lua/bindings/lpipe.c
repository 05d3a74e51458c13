/*
 * conc.multiprocessing.Pipe: connections over shared memory.  Their methods are
 * those of lconn.c.
 *
 * Reference: Python's multiprocessing.Pipe (3.14).
 */

#include "ipc/ring_cases.h"
#include "ipc/spipe.h"
#include "lua/bindings/lconn.h"
#include "lua/cargo.h"
#include "lua/selectable.h"
#include "lua/types.h"

static conc_spipe_end *check(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  if (b != NULL && b->obj == NULL)
    lc_error(L, "the connection is closed");
  return lc_check(L, 1, &conc_spipe_end_class.cls);
}

static conc_ring *check_in(lua_State *L) {
  conc_ring *r = conc_spipe_in(check(L));
  if (r == NULL)
    lc_error(L, "this connection only sends");
  return r;
}

static conc_ring *check_out(lua_State *L) {
  conc_spipe_end *e = check(L);
  if (e->out == NULL)
    lc_error(L, "this connection only receives");
  return e->out;
}

/* ---- Sending ---- */

/* c:send(value): true, or nil and "closed" */
static int send_value(lua_State *L) {
  conc_ring *r = check_out(L);
  lc_any(L, 2, "value");
  lc_nomore(L, 2);
  return lc_cargo_outcome(L, lc_cargo_send(L, r, 2, "value", CONC_FOREVER));
}

/* c:send_bytes(s [, i [, j]]): true, or nil and "closed" */
static int send_bytes(lua_State *L) {
  size_t len, from;
  conc_ring *r = check_out(L);
  lc_nomore(L, 4);
  const char *s = lc_string(L, 2, "s", &len);
  size_t n = lc_range(L, 3, len, &from);
  return lc_cargo_outcome(L,
                          lc_cargo_send_bytes(L, r, n == 0 ? s : s + from, n));
}

/* ---- Receiving ---- */

static int no_item(lua_State *L, apr_status_t st, const char *next) {
  if (st == CONC_MISUSE)
    return lc_error(L, "the next message is %s", next);
  return lc_cargo_outcome(L, st);
}

/* c:recv([timeout]): the value, or nil and "timeout" or "closed" */
static int recv_value(lua_State *L) {
  conc_item item;
  conc_ring *r = check_in(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  apr_status_t st = lc_cargo_take(L, r, &item, LC_CARGO_VALUES, deadline);
  return st == APR_SUCCESS ? lc_cargo_push(L, &item)
                           : no_item(L, st, "bytes: use recv_bytes");
}

static apr_status_t take_bytes(lua_State *L, conc_ring *r, conc_item *item,
                               conc_time deadline) {
  return lc_cargo_take(L, r, item, LC_CARGO_BYTES, deadline);
}

/* This state does not have the end any more. */
static void close_box(lc_box *b) {
  conc_obj *o = b->obj;
  b->obj = NULL;
  conc_release(o);
}

/* A message longer than the caller stands: the end only sends from now on or,
   when it cannot, is closed. */
static int refuse(lua_State *L, conc_spipe_end *e, conc_item *item) {
  lua_Integer size = (lua_Integer)item->size;
  bool sends = e->out != NULL;
  conc_item_fini(item);
  atomic_store(&e->deaf, 1);
  if (!sends)
    close_box(lc_isbox(L, 1));
  return lc_error(
    L, "message of %I bytes, longer than maxlength: the connection %s",
    (LUAI_UACINT)size, sends ? "only sends from now on" : "is closed");
}

/* c:recv_bytes([maxlength [, timeout]]): a string, or nil and a word */
static int recv_bytes(lua_State *L) {
  conc_item item;
  conc_ring *r = check_in(L);
  lua_Integer most =
    lc_optinteger(L, 2, "maxlength", LUA_MAXINTEGER, 0, LUA_MAXINTEGER);
  conc_time deadline = lc_deadline(L, 3, "timeout");
  lc_nomore(L, 3);
  apr_status_t st = take_bytes(L, r, &item, deadline);
  if (st != APR_SUCCESS)
    return no_item(L, st, "a value: use recv");
  return item.size <= (uint64_t)most ? lc_cargo_push_bytes(L, &item)
                                     : refuse(L, check(L), &item);
}

/* c:recv_bytes_into(array [, offset [, timeout]]): bytes, or nil and a word */
static int recv_bytes_into(lua_State *L) {
  conc_item item;
  size_t room;
  conc_ring *r = check_in(L);
  unsigned char *to = lc_target(L, 2, &room);
  size_t offset =
    (size_t)lc_optinteger(L, 3, "offset", 0, 0, (lua_Integer)room);
  conc_time deadline = lc_deadline(L, 4, "timeout");
  lc_nomore(L, 4);
  apr_status_t st = take_bytes(L, r, &item, deadline);
  if (st != APR_SUCCESS)
    return no_item(L, st, "a value: use recv");
  if (item.size > room - offset) {
    lc_cargo_push_bytes(L, &item);
    size_t size;
    const char *s = lua_tolstring(L, -1, &size);
    return lc_too_short(L, (const unsigned char *)s, size);
  }
  lc_copy_in(to + offset, item.data, item.size);
  lua_Integer size = (lua_Integer)item.size;
  conc_item_fini(&item);
  lua_pushinteger(L, size);
  return 1;
}

/* c:poll([timeout]): is there a message, or the end?  Does not wait without */
static int poll(lua_State *L) {
  (void)check_in(L);
  conc_time deadline =
    lua_isnoneornil(L, 2) ? CONC_NOW : lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  do
    st = conc_spipe_poll(check(L), lc_self(L), deadline);
  while (lc_again(L, st));
  if (APR_STATUS_IS_TIMEUP(st))
    return lc_truth(L, st);
  lua_pushboolean(L, st == APR_SUCCESS);
  return 1;
}

/* ---- The rest ---- */

/* c:close(): this state does not need it any more; may be called again */
static int close_end(lua_State *L) {
  lc_nomore(L, 2); /* __close has the error as well */
  lc_box *b = lc_isbox(L, 1);
  if (b != NULL && b->obj == NULL)
    return 0;
  (void)check(L);
  close_box(b);
  return 0;
}

static int is_closed(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  bool closed = b != NULL && b->obj == NULL;
  lc_nomore(L, 1);
  if (!closed)
    (void)check(L);
  lua_pushboolean(L, closed);
  return 1;
}

static int readable(lua_State *L) {
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_spipe_in(check(L)) != NULL);
  return 1;
}

static int writable(lua_State *L) {
  lc_nomore(L, 1);
  lua_pushboolean(L, check(L)->out != NULL);
  return 1;
}

static const luaL_Reg methods[] = {{"send", send_value},
                                   {"recv", recv_value},
                                   {"send_bytes", send_bytes},
                                   {"recv_bytes", recv_bytes},
                                   {"recv_bytes_into", recv_bytes_into},
                                   {"poll", poll},
                                   {"close", close_end},
                                   {"closed", is_closed},
                                   {"readable", readable},
                                   {"writable", writable},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", close_end}, {NULL, NULL}};

const lc_type lc_pipe_type = {.cls = &conc_spipe_end_class.cls,
                              .methods = methods,
                              .metamethods = metamethods};

/* Pipe([duplex]): two connections */
int lc_pipe(lua_State *L) {
  static const char *const names[] = {"duplex", NULL};
  conc_spipe_end *ends[2];
  lc_options(L, names);
  bool duplex = lc_optboolean(L, 1, "duplex", true);
  lc_box *first = lc_newbox(L, &conc_spipe_end_class.cls);
  lc_box *second = lc_newbox(L, &conc_spipe_end_class.cls);
  apr_status_t st = conc_spipe_new(ends, duplex);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  first->obj = &ends[0]->proxy.obj;
  second->obj = &ends[1]->proxy.obj;
  return 2;
}

/* ---- As cases of select ---- */

static void make_receive(lua_State *L, int number, conc_obj *o, conc_case *c) {
  conc_ring *r = conc_spipe_in((conc_spipe_end *)o);
  if (r == NULL)
    lc_badcase(L, number, "this connection only sends");
  conc_case_ring_pop(c, o, r);
}

static void make_send(lua_State *L, int number, int idx, conc_obj *o,
                      conc_case *c) {
  const conc_spipe_end *e = (const conc_spipe_end *)o;
  if (e->out == NULL)
    lc_badcase(L, number, "this connection only receives");
  conc_case_ring_push(c, o, e->out);
  lc_make_ring_push(L, number, idx, c);
}

const lc_selectable lc_pipe_selectable = {
  &conc_spipe_end_class.cls, make_receive, make_send, lc_give_cargo};
