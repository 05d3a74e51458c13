/*
 * What listens for connections over sockets, and what connects;
 * lua/conc/connection.lua makes Listener and Client of it.
 */

#include "ipc/conn.h"
#include "lua/types.h"
#include "sys/apr.h"

static conc_listener *check(lua_State *L) {
  return lc_check(L, 1, &conc_listener_class);
}

enum { PATH = 1, HOST, PORT };

static conc_address address_of(lua_State *L) {
  conc_address a = {.path = lua_tostring(L, PATH),
                    .host = luaL_optstring(L, HOST, ""),
                    .port = (unsigned)luaL_optinteger(L, PORT, 0)};
  return a;
}

static int no_address(lua_State *L, apr_status_t st) {
  char text[120];
  if (APR_STATUS_IS_ENOMEM(st))
    return lc_fail(L, st);
  lua_pushnil(L);
  lua_pushstring(L, APR_STATUS_IS_TIMEUP(st) ? "timeout"
                    : st == CONC_BADNAME
                      ? "no such host"
                      : conc_sys_strerror(st, text, sizeof text));
  return 2;
}

/* listen(path | nil, host, port, backlog): a listener, or nil and why not */
static int new_listener(lua_State *L) {
  const conc_address a = address_of(L);
  lc_box *box = lc_newbox(L, &conc_listener_class);
  conc_listener *l;
  apr_status_t st =
    conc_listener_new(&l, &a, (int)luaL_optinteger(L, PORT + 1, 0));
  if (st != APR_SUCCESS)
    return no_address(L, st);
  box->obj = &l->obj;
  return 1;
}

/* The box on the top gets the connection. */
static int push_conn(lua_State *L, lc_box *box, conc_handle h, bool trusted,
                     lua_Integer most) {
  conc_conn *c;
  apr_status_t st = conc_conn_new(&c, h, trusted, (uint64_t)most);
  if (st != APR_SUCCESS) {
    conc_sys_close(h);
    return lc_fail(L, st);
  }
  box->obj = &c->obj;
  return 1;
}

/* connect(path | nil, host, port, timeout, trusted, most) */
static int new_client(lua_State *L) {
  const conc_address a = address_of(L);
  conc_time deadline = lc_deadline(L, 4, "timeout");
  bool trusted = lua_toboolean(L, 5);
  lua_Integer most = luaL_checkinteger(L, 6);
  lc_box *box = lc_newbox(L, &conc_conn_class);
  conc_handle h;
  apr_status_t st;
  do
    st = conc_conn_connect(&h, &a, lc_self(L), deadline);
  while (lc_again(L, st));
  return st == APR_SUCCESS ? push_conn(L, box, h, trusted, most)
                           : no_address(L, st);
}

/* l:accept(timeout, trusted, most): a connection, or nil and a word */
static int accept_conn(lua_State *L) {
  conc_listener *l = check(L);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  bool trusted = lua_toboolean(L, 3);
  lua_Integer most = luaL_checkinteger(L, 4);
  lc_box *box = lc_newbox(L, &conc_conn_class);
  conc_handle h;
  apr_status_t st;
  do
    st = conc_listener_accept(l, &h, lc_self(L), deadline);
  while (lc_again(L, st));
  return st == APR_SUCCESS ? push_conn(L, box, h, trusted, most)
                           : lc_outcome(L, st);
}

static int close_it(lua_State *L) {
  conc_listener_close(check(L), lc_self(L));
  return 0;
}

static int port_of(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)conc_sys_port(check(L)->handle));
  return 1;
}

static int fileno_of(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->handle);
  return 1;
}

static const luaL_Reg methods[] = {{"accept", accept_conn},
                                   {"close", close_it},
                                   {"port", port_of},
                                   {"fileno", fileno_of},
                                   {NULL, NULL}};

const lc_type lc_listener_type = {
  &conc_listener_class, methods, NULL, NULL, 0, false};

/* abstract(): can a Unix socket have a name that is no file? */
static int abstract(lua_State *L) {
  lua_pushboolean(L, conc_sys_abstract());
  return 1;
}

const luaL_Reg lc_listener_functions[] = {{"listen", new_listener},
                                          {"connect", new_client},
                                          {"abstract", abstract},
                                          {NULL, NULL}};
