/*
 * conc.Error: a table with the fields class, message, traceback and cause, so
 * that it reads like any Lua value and travels like one.  Its metatable is
 * registered as "conc.Error", so it stays an Error wherever it arrives.
 */

#include "lua/errors.h"

#include <string.h>

#include "lua/names.h"

static const char error_key = 0;

/* __tostring: "class: message", with the cause below */
static int error_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "class");
  lua_getfield(L, 1, "message");
  lua_getfield(L, 1, "cause");
  lua_pushfstring(L, "%s: %s", luaL_tolstring(L, 2, NULL),
                  luaL_tolstring(L, 3, NULL));
  if (!lua_isnil(L, 4)) {
    lc_totext(L, 4);
    lua_pushfstring(L, "%s\ncaused by: %s", lua_tostring(L, -2),
                    lua_tostring(L, -1));
  }
  return 1;
}

/* Error.is(e [, class]): is e a conc.Error (of that class)? */
static int error_is(lua_State *L) {
  lc_any(L, 1, "value");
  lc_nomore(L, 2);
  const char *cls =
    lua_isnoneornil(L, 2) ? NULL : lc_string(L, 2, "class", NULL);
  lua_pushboolean(L, lc_iserror(L, 1, cls));
  return 1;
}

/* Error.new(class, message [, cause]) */
static int error_new(lua_State *L) {
  (void)lc_string(L, 1, "class", NULL);
  (void)lc_string(L, 2, "message", NULL);
  lc_nomore(L, 3);
  lua_settop(L, 3);
  lc_pusherror(L, lua_tostring(L, 1), lua_tostring(L, 2));
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "cause");
  return 1;
}

static const luaL_Reg functions[] = {{"is", error_is},
                                     {"new", error_new},
                                     {"__tostring", error_tostring},
                                     {NULL, NULL}};

void lc_push_error_class(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lc_setfuncs(L, functions);
  lua_pushliteral(L, "conc.Error");
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, lc_register);
  lua_pushliteral(L, "conc.Error");
  lua_pushvalue(L, -3);
  lua_call(L, 2, 0);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

void lc_pusherror(lua_State *L, const char *cls, const char *message) {
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, cls);
  lua_setfield(L, -2, "class");
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lc_push_error_class(L);
  lua_setmetatable(L, -2);
}

int lc_throw(lua_State *L, const char *cls, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *message = lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lc_pusherror(L, cls, message);
  luaL_traceback(L, L, NULL, 1);
  lua_setfield(L, -2, "traceback");
  return lua_error(L);
}

/* Is the class 'is' the class 'cls', or one of its kinds? */
static bool is_kind_of(const char *is, const char *cls) {
  static const char *const parents[][2] = {
    {"BrokenThreadPool", "BrokenExecutor"},
    {"BrokenProcessPool", "BrokenExecutor"},
    {"WorkerDied", "BrokenExecutor"}};
  for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++)
    if (strcmp(is, parents[i][0]) == 0 && strcmp(cls, parents[i][1]) == 0)
      return true;
  return strcmp(is, cls) == 0;
}

bool lc_iserror(lua_State *L, int idx, const char *cls) {
  int top = lua_gettop(L);
  idx = lua_absindex(L, idx);
  bool yes = false;
  luaL_checkstack(L, 8, NULL);
  if (lua_type(L, idx) == LUA_TTABLE && lua_getmetatable(L, idx)) {
    lc_push_error_class(L);
    yes = lua_rawequal(L, -1, -2);
  }
  if (yes && cls != NULL) {
    lua_pushliteral(L, "class");
    lua_rawget(L, idx);
    const char *is = lua_tostring(L, -1);
    yes = is != NULL && is_kind_of(is, cls);
  }
  lua_settop(L, top);
  return yes;
}
