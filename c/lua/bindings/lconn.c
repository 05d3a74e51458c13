/*
 * Connections over sockets; llistener.c makes them.
 *
 * Reference: Python's multiprocessing.connection (3.14).
 */

#include <string.h>

#include "core/cells.h"
#include "ipc/cases.h"
#include "ipc/scells.h"
#include "ipc/smemory.h"
#include "lua/bindings/lconn.h"
#include "lua/selectable.h"
#include "lua/state.h"
#include "lua/types.h"
#include "lua/wire.h"

static conc_conn *check(lua_State *L) {
  conc_conn *c = lc_check(L, 1, &conc_conn_class);
  if (atomic_load(&c->closed) != 0)
    lc_error(L, "the connection is closed");
  return c;
}

/* One that receives. */
static conc_conn *check_in(lua_State *L) {
  conc_conn *c = check(L);
  if (atomic_load(&c->deaf) != 0)
    lc_error(L, "this connection only sends");
  return c;
}

/* true; or nil and a word; raises what is none. */
static int outcome(lua_State *L, apr_status_t st) {
  if (st == CONC_MISUSE) /* by another thread, while we waited */
    st = CONC_CLOSED;
  if (st == CONC_CORRUPT)
    return lc_error(L, "corrupt message, or one that is too long: the "
                       "connection has ended");
  return lc_outcome(L, st);
}

/* ---- Sending ---- */

static apr_status_t send_frame(lua_State *L, conc_conn *c, conc_frame_kind kind,
                               const conc_wire *w) {
  apr_status_t st;
  do
    st = conc_conn_send(c, kind, w->data, w->size, lc_self(L));
  while (lc_again(L, st));
  return st;
}

/* c:send(value): true, or nil and "closed" */
static int send_value(lua_State *L) {
  conc_conn *c = check(L);
  luaL_checkany(L, 2);
  lc_nomore(L, 2);
  conc_wire *w = lc_pack_wire(L, 2, 2, "value");
  if (w->nshared != 0)
    return lc_error(L, "value: a %s cannot go through a socket",
                    w->shared[0]->obj.cls->name);
  apr_status_t st = send_frame(L, c, CONC_FRAME_VALUE, w);
  conc_wire_fini(w); /* nobody else would in a state that closes */
  return outcome(L, st);
}

/* c:send_bytes(s [, i [, j]]): true, or nil and "closed" */
static int send_bytes(lua_State *L) {
  size_t len, from;
  conc_conn *c = check(L);
  lc_nomore(L, 4);
  const char *s = lc_string(L, 2, "s", &len);
  size_t n = lc_range(L, 3, len, &from);
  /* It is only read. */
  const conc_wire w = {
    .data = (unsigned char *)(uintptr_t)(n == 0 ? s : s + from), .size = n};
  return outcome(L, send_frame(L, c, CONC_FRAME_BYTES, &w));
}

/* ---- Receiving ---- */

static const char *const other_call[] = {"a value: use recv",
                                         "bytes: use recv_bytes"};

/* A message of that kind is there and this thread has it; else the number of
   results. */
static int await_frame(lua_State *L, conc_conn *c, conc_frame_kind kind,
                       conc_time deadline) {
  apr_status_t st;
  do
    st = conc_conn_receive(c, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st != APR_SUCCESS)
    return outcome(L, st);
  if (c->in.head[0] == kind)
    return 0;
  conc_conn_keep(c);
  return lc_error(L, "the next message is %s",
                  other_call[kind == CONC_FRAME_VALUE]);
}

/* The message that this thread has, to *w. */
static void take_frame(conc_conn *c, conc_wire *w) {
  w->data = c->in.data;
  w->size = (size_t)c->in.size;
  c->in.data = NULL;
  conc_conn_done(c);
}

static int push_value(lua_State *L, const conc_conn *c, const conc_wire *w) {
  if (lc_unpack_wire(L, w, c->trusted) != 1)
    return lc_error(L, "corrupt message");
  return 1;
}

/* c:recv([timeout]): the value, or nil and "timeout" or "closed" */
static int recv_value(lua_State *L) {
  conc_conn *c = check_in(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  conc_wire *w = lc_newwire(L);
  int n = await_frame(L, c, CONC_FRAME_VALUE, deadline);
  if (n != 0)
    return n;
  take_frame(c, w);
  n = push_value(L, c, w);
  conc_wire_fini(w);
  return n;
}

/* c:recv_bytes([maxlength [, timeout]]): a string, or nil and a word */
static int recv_bytes(lua_State *L) {
  conc_conn *c = check_in(L);
  lua_Integer most =
    lc_optinteger(L, 2, "maxlength", LUA_MAXINTEGER, 0, LUA_MAXINTEGER);
  conc_time deadline = lc_deadline(L, 3, "timeout");
  lc_nomore(L, 3);
  conc_wire *w = lc_newwire(L);
  int n = await_frame(L, c, CONC_FRAME_BYTES, deadline);
  if (n != 0)
    return n;
  if (c->in.size > (uint64_t)most) {
    lua_Integer size = (lua_Integer)c->in.size;
    conc_conn_refuse(c);
    return lc_error(L,
                    "message of %I bytes, longer than maxlength: the "
                    "connection only sends from now on",
                    (LUAI_UACINT)size);
  }
  take_frame(c, w);
  lua_pushlstring(L, (const char *)w->data, w->size);
  conc_wire_fini(w);
  return 1;
}

int lc_too_short(lua_State *L, const unsigned char *data, size_t size) {
  lc_pusherror(L, "BufferTooShort", "the message is longer than the room");
  lua_pushlstring(L, (const char *)data, size);
  lua_setfield(L, -2, "bytes");
  return lua_error(L);
}

void lc_copy_in(unsigned char *to, const unsigned char *data, size_t size) {
  for (size_t i = 0; i < size; i++)
    atomic_store((_Atomic unsigned char *)to + i, data[i]);
}

unsigned char *lc_target(lua_State *L, int arg, size_t *room) {
  conc_obj *o = lc_test(L, arg, &conc_smemory_class.cls);
  if (o != NULL) {
    const conc_smemory *m = (const conc_smemory *)(void *)o;
    *room = conc_smemory_size(m);
    return (unsigned char *)conc_smemory_bytes(m);
  }
  o = lc_test(L, arg, &conc_sarray_class.cls);
  const conc_cells *a =
    o != NULL ? &((conc_scells *)o)->view : lc_check(L, arg, &conc_array_class);
  *room = a->n * a->type.size;
  return (unsigned char *)a->elements;
}

/* c:recv_bytes_into(array | shm [, offset [, timeout]]): bytes, or nil and a
   word */
static int recv_bytes_into(lua_State *L) {
  conc_conn *c = check_in(L);
  size_t room;
  unsigned char *to = lc_target(L, 2, &room);
  size_t offset =
    (size_t)lc_optinteger(L, 3, "offset", 0, 0, (lua_Integer)room);
  conc_time deadline = lc_deadline(L, 4, "timeout");
  lc_nomore(L, 4);
  conc_wire *w = lc_newwire(L);
  int n = await_frame(L, c, CONC_FRAME_BYTES, deadline);
  if (n != 0)
    return n;
  take_frame(c, w);
  if (w->size > room - offset)
    return lc_too_short(L, w->data, w->size);
  lc_copy_in(to + offset, w->data, w->size);
  lua_pushinteger(L, (lua_Integer)w->size);
  conc_wire_fini(w);
  return 1;
}

/* c:poll([timeout]): is there a message, or the end?  Does not wait without */
static int poll(lua_State *L) {
  conc_conn *c = check_in(L);
  conc_time deadline =
    lua_isnoneornil(L, 2) ? CONC_NOW : lc_deadline(L, 2, "timeout");
  apr_status_t st;
  lc_nomore(L, 2);
  do
    st = conc_conn_receive(c, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st == APR_SUCCESS)
    conc_conn_keep(c);
  if (APR_STATUS_IS_ENOMEM(st))
    return lc_fail(L, st);
  if (APR_STATUS_IS_TIMEUP(st))
    return lc_truth(L, st);
  lua_pushboolean(L, true);
  return 1;
}

/* ---- The rest ---- */

/* c:close(): this side is closed; may be called again */
static int close_conn(lua_State *L) {
  conc_conn *c = lc_check(L, 1, &conc_conn_class);
  lc_nomore(L, 2); /* __close has the error as well */
  conc_conn_close(c, lc_self(L));
  return 0;
}

static int is_closed(lua_State *L) {
  const conc_conn *c = lc_check(L, 1, &conc_conn_class);
  lc_nomore(L, 1);
  lua_pushboolean(L, atomic_load(&c->closed) != 0);
  return 1;
}

static int readable(lua_State *L) {
  lc_nomore(L, 1);
  lua_pushboolean(L, atomic_load(&check(L)->deaf) == 0);
  return 1;
}

static int writable(lua_State *L) {
  (void)check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, 1);
  return 1;
}

/* c:fileno(): the system's number of the socket */
static int fileno_of(lua_State *L) {
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)check(L)->handle);
  return 1;
}

static const luaL_Reg methods[] = {{"send", send_value},
                                   {"recv", recv_value},
                                   {"send_bytes", send_bytes},
                                   {"recv_bytes", recv_bytes},
                                   {"recv_bytes_into", recv_bytes_into},
                                   {"poll", poll},
                                   {"close", close_conn},
                                   {"closed", is_closed},
                                   {"readable", readable},
                                   {"writable", writable},
                                   {"fileno", fileno_of},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", close_conn}, {NULL, NULL}};

const lc_type lc_conn_type = {
  &conc_conn_class, methods, metamethods, NULL, 0, false};

/* conn_limit(connection, most): bytes that a message may have from now on */
static int conn_limit(lua_State *L) {
  conc_conn *c = check(L);
  atomic_store(&c->most, (uint64_t)luaL_checkinteger(L, 2));
  return 0;
}

/* conn_peer(connection): "host:port" of the other side; nil: a Unix socket */
static int conn_peer(lua_State *L) {
  char name[80];
  if (conc_sys_peer(check(L)->handle, name, sizeof name))
    lua_pushstring(L, name);
  else
    lua_pushnil(L);
  return 1;
}

const luaL_Reg lc_conn_functions[] = {
  {"conn_limit", conn_limit}, {"conn_peer", conn_peer}, {NULL, NULL}};

/* ---- As cases of select ---- */

static void make_receive(lua_State *L, int number, conc_obj *o, conc_case *c) {
  conc_conn *conn = (conc_conn *)o;
  if (atomic_load(&conn->closed) != 0)
    lc_badcase(L, number, "the connection is closed");
  if (atomic_load(&conn->deaf) != 0)
    lc_badcase(L, number, "this connection only sends");
  conc_case_receive(c, conn);
}

/* A value or, as they came, bytes. */
static int give_message(lua_State *L, int idx, conc_case *c) {
  conc_conn *conn = (conc_conn *)c->obj;
  bool bytes = conn->in.head[0] == CONC_FRAME_BYTES;
  conc_wire w = {0};
  (void)idx;
  take_frame(conn, &w);
  conc_wire *own = lc_newwire(L);
  *own = w;
  if (!bytes)
    return push_value(L, conn, own);
  lua_pushlstring(L, (const char *)own->data, own->size);
  return 1;
}

const lc_selectable lc_conn_selectable = {&conc_conn_class, make_receive, NULL,
                                          give_message};
