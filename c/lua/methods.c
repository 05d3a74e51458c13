#include "lua/methods.h"

#include <string.h>

#include "lua/types.h"

/* Replace the metatable on the top by the method table that it leads to. */
static void to_methods(lua_State *L) {
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  if (lua_type(L, -1) == LUA_TFUNCTION) { /* see lc_type */
    lua_getupvalue(L, -1, 2);
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
}

/* How many types before this one have its name: a class within the process and
   its twin between processes do. */
static int number_of(const lc_type *type) {
  int n = 0;
  for (const lc_type *const *t = lc_types; *t != type; t++)
    n += strcmp((*t)->cls->name, type->cls->name) == 0;
  return n;
}

/* A class is known by its name; if number_of is not 0, followed by # and that
   digit. */
bool lc_pushmethods(lua_State *L, const char *cls, size_t len) {
  int number = 0;
  if (len > 2 && cls[len - 2] == '#') {
    number = cls[len - 1] - '0';
    len -= 2;
  }
  for (const lc_type *const *t = lc_types; *t != NULL; t++) {
    const char *name = (*t)->cls->name;
    if (strlen(name) != len || memcmp(name, cls, len) != 0 || number-- != 0)
      continue;
    lc_pushmetatable(L, *t);
    to_methods(L);
    return true;
  }
  return false;
}

/* Push the key under which the table on the top has the value at 'idx'. */
static bool push_key(lua_State *L, int idx) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool same = lua_rawequal(L, -1, idx);
    lua_pop(L, 1);
    if (same)
      return true;
  }
  return false;
}

/* Replace the method's key on the top by its whole name. */
static void push_name(lua_State *L, const lc_type *t) {
  int number = number_of(t);
  lua_pushlstring(L, "", 1);
  if (number == 0)
    lua_pushstring(L, t->cls->name);
  else
    lua_pushfstring(L, "%s#%d", t->cls->name, number);
  lua_pushlstring(L, "", 1);
  lua_rotate(L, -4, -1);
  lua_concat(L, 4);
}

bool lc_pushmethodname(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 8, NULL);
  for (const lc_type *const *t = lc_types; *t != NULL; t++) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, *t) == LUA_TTABLE) {
      to_methods(L);
      if (push_key(L, idx)) {
        push_name(L, *t);
        lua_replace(L, -2); /* the method table */
        return true;
      }
    }
    lua_pop(L, 1);
  }
  return false;
}
