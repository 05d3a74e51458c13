/*
 * conc.threading: Local, an object whose fields are each thread's own.
 *
 * Each thread has a Lua state of its own, so the fields are a table in the
 * state, kept with the object's userdata there; what is shared is only the
 * identity, and the init function with its arguments.
 *
 * Reference: Python's threading.local.
 */

#include "lua/types.h"

/* [c] all */
typedef struct local {
  conc_obj obj;
  conc_msg init; /* function, arguments; or empty */
} local;

static void destroy(conc_obj *o) {
  conc_msg_fini(&((local *)o)->init);
  conc_obj_free(o);
}

static const conc_class local_class = {"Local", destroy};

/* Call init(l, ...) for the Local at 1. */
static void initialize(lua_State *L, local *l) {
  int top = lua_gettop(L);
  int n = lc_unpack_copy(L, &l->init);
  lua_pushvalue(L, 1);
  lua_insert(L, top + 2);
  if (lua_pcall(L, n, 0, 0) == LUA_OK)
    return;
  lua_pushnil(L); /* the next use tries again */
  lua_setiuservalue(L, 1, 1);
  lua_error(L);
}

/* Push this thread's fields, making them at the first use. */
static void push_fields(lua_State *L) {
  local *l = lc_check(L, 1, &local_class);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
  if (l->init.size != 0)
    initialize(L, l);
}

static int get(lua_State *L) {
  push_fields(L);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int set(lua_State *L) {
  push_fields(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

/* pairs(l): this thread's fields */
static int all(lua_State *L) {
  push_fields(L);
  lua_getglobal(L, "next");
  lua_insert(L, -2);
  lua_pushnil(L);
  return 3;
}

static const luaL_Reg metamethods[] = {
  {"__index", get}, {"__newindex", set}, {"__pairs", all}, {NULL, NULL}};

const lc_type lc_local_type = {&local_class, NULL, metamethods, NULL, 1, false};

/* Local([init [, args]]): init(l, table.unpack(args)) runs in each thread that
   uses it, before the first use there */
int lc_local(lua_State *L) {
  static const char *const names[] = {"init", "args", NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &local_class);
  local *l = conc_obj_new(&local_class, sizeof *l);
  if (l == NULL)
    return lc_fail(L, APR_ENOMEM);
  box->obj = &l->obj;
  if (lua_isnil(L, 1) && lua_isnil(L, 2))
    return 1;
  lc_function(L, 1, "init");
  int n = lua_isnil(L, 2) ? 0 : lc_countargs(L, 2, 2, "args");
  luaL_checkstack(L, n + 10, "too many args");
  lua_pushvalue(L, 1);
  for (int i = 1; i <= n; i++)
    lua_geti(L, 2, i);
  conc_msg m;
  lc_pack(L, 4, 4 + n, "init", &m);
  l->init = m;
  lua_settop(L, 3);
  return 1;
}
