/* Arguments, and what is said of bad ones. */

#include <math.h>
#include <string.h>

#include "lua/lc.h"

int lc_argerror(lua_State *L, int arg, const char *name, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  lua_pushfstring(L, "%s: ", name);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, 2);
  return lc_badarg(L, arg, lua_tostring(L, -1));
}

const char *lc_nameof(lua_State *L, int idx) {
  const char *name = luaL_typename(L, idx); /* none: "no value" */
  int type = luaL_getmetafield(L, idx, "__name");
  if (type == LUA_TSTRING)
    name = lua_tostring(L, -1); /* the metatable keeps it */
  if (type != LUA_TNIL)
    lua_pop(L, 1);
  return name;
}

static int wrong_type(lua_State *L, int arg, const char *name,
                      const char *expected) {
  return lc_argerror(L, arg, name, "%s expected, got %s", expected,
                     lc_nameof(L, arg));
}

void lc_nomore(lua_State *L, int n) {
  int got = lua_gettop(L);
  if (got > n)
    lc_badarg(L, n + 1, "surplus argument");
}

/* Is 'key' (on the top) one of the names? Its index, or -1. */
static int name_index(lua_State *L, const char *const names[]) {
  if (lua_type(L, -1) != LUA_TSTRING)
    return -1;
  const char *key = lua_tostring(L, -1);
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(key, names[i]) == 0)
      return i;
  return -1;
}

void lc_check_options(lua_State *L, int table, const char *const names[]) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (name_index(L, names) < 0)
      lc_badarg(
        L, table,
        lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL)));
  }
}

void lc_options_at(lua_State *L, int first, const char *const names[]) {
  int n = 0;
  while (names[n] != NULL)
    n++;
  luaL_checkstack(L, n + 4, NULL);
  if (lua_gettop(L) != first || lua_type(L, first) != LUA_TTABLE) {
    lc_nomore(L, first - 1 + n);
    lua_settop(L, first - 1 + n);
    return;
  }
  lc_check_options(L, first, names);
  for (int i = 0; i < n; i++)
    lua_getfield(L, first, names[i]);
  lua_remove(L, first);
}

void lc_options(lua_State *L, const char *const names[]) {
  lc_options_at(L, 1, names);
}

conc_time lc_deadline(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg))
    return CONC_FOREVER;
  if (lua_type(L, arg) != LUA_TNUMBER)
    wrong_type(L, arg, name, "number of seconds");
  lua_Number s = lua_tonumber(L, arg);
  if (isnan(s))
    lc_argerror(L, arg, name, "must not be NaN");
  if (s < 0)
    lc_argerror(L, arg, name, "must not be negative");
  return conc_after(s);
}

lua_Integer lc_integer(lua_State *L, int arg, const char *name, lua_Integer lo,
                       lua_Integer hi) {
  int whole = 0;
  lua_Integer n = 0;
  if (lua_type(L, arg) == LUA_TNUMBER)
    n = lua_tointegerx(L, arg, &whole);
  else
    wrong_type(L, arg, name, "integer");
  if (!whole)
    lc_argerror(L, arg, name, "number has no integer representation");
  if (n < lo)
    lc_argerror(L, arg, name, "must be at least %I", (LUAI_UACINT)lo);
  if (n > hi)
    lc_argerror(L, arg, name, "must be at most %I", (LUAI_UACINT)hi);
  return n;
}

lua_Integer lc_optinteger(lua_State *L, int arg, const char *name,
                          lua_Integer def, lua_Integer lo, lua_Integer hi) {
  return lua_isnoneornil(L, arg) ? def : lc_integer(L, arg, name, lo, hi);
}

size_t lc_range(lua_State *L, int arg, size_t len, size_t *from) {
  lua_Integer n = (lua_Integer)len;
  lua_Integer i = lc_optinteger(L, arg, "i", 1, LUA_MININTEGER, LUA_MAXINTEGER);
  lua_Integer j =
    lc_optinteger(L, arg + 1, "j", -1, LUA_MININTEGER, LUA_MAXINTEGER);
  i = i > 0 ? i : i == 0 || i < -n ? 1 : n + i + 1;
  j = j > n ? n : j >= 0 ? j : j < -n ? 0 : n + j + 1;
  *from = i > j ? 0 : (size_t)(i - 1);
  return i > j ? 0 : (size_t)(j - i + 1);
}

bool lc_boolean(lua_State *L, int arg, const char *name) {
  if (lua_type(L, arg) != LUA_TBOOLEAN)
    wrong_type(L, arg, name, "boolean");
  return lua_toboolean(L, arg);
}

bool lc_optboolean(lua_State *L, int arg, const char *name, bool def) {
  return lua_isnoneornil(L, arg) ? def : lc_boolean(L, arg, name);
}

const char *lc_string(lua_State *L, int arg, const char *name, size_t *len) {
  if (lua_type(L, arg) != LUA_TSTRING)
    wrong_type(L, arg, name, "string");
  return lua_tolstring(L, arg, len);
}

void lc_table(lua_State *L, int arg, const char *name) {
  if (lua_type(L, arg) != LUA_TTABLE)
    wrong_type(L, arg, name, "table");
}

void lc_any(lua_State *L, int arg, const char *name) {
  if (lua_isnone(L, arg))
    lc_argerror(L, arg, name, "value expected");
}

void lc_function(lua_State *L, int arg, const char *name) {
  if (lua_type(L, arg) == LUA_TFUNCTION)
    return;
  if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    wrong_type(L, arg, name, "function");
  lua_pop(L, 1);
}

int lc_countargs(lua_State *L, int idx, int arg, const char *name) {
  if (lua_type(L, idx) != LUA_TTABLE)
    lc_argerror(L, arg, name, "table expected, got %s", lc_nameof(L, idx));
  int type = lua_getfield(L, idx, "n");
  if (type != LUA_TNIL && !lua_isinteger(L, -1))
    lc_argerror(L, arg, name, "its field n is no integer");
  lua_Integer n =
    type == LUA_TNIL ? (lua_Integer)lua_rawlen(L, idx) : lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (n < 0 || n > 10000)
    lc_argerror(L, arg, name, "0 to 10000 of them expected");
  return (int)n;
}

static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *lc_totext(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lua_pushcfunction(L, to_text);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) { /* its __tostring did */
    lua_pop(L, 1);
    lua_pushfstring(L, "%s: %p", lc_nameof(L, idx), lua_topointer(L, idx));
  }
  return lua_tostring(L, -1);
}
