/*
 * Whose line an error names: that of the program which called conc, be it one of
 * conc's functions in C, or one in Lua that calls those.
 */

#include <stdbool.h>
#include <string.h>

#include "lua/lc.h"
#include "lua/types.h"

/* In the registry: what the names of conc's own chunks begin with. */
static const char own_key = 0;

/* own(prefix) */
int lc_own_chunks(lua_State *L) {
  lc_nomore(L, 1);
  luaL_checkstring(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &own_key);
  return 0;
}

/* On Windows a path may have either, here the one and there the other. */
static bool is_separator(char c) { return c == '/' || c == '\\'; }

static bool begins(const char *source, const char *own) {
  for (; *own != '\0'; own++, source++)
    if (*source != *own && !(is_separator(*source) && is_separator(*own)))
      return false;
  return true;
}

/*
 * The function to blame, in *ar, false: there is none.  It is the caller of the
 * running function, or when that is conc's own the nearest one in Lua that is
 * not.  *entry is the level of the function of conc's that the program called.
 */
static bool blamed(lua_State *L, lua_Debug *ar, int *entry) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &own_key);
  const char *own = lua_tostring(L, -1); /* the registry keeps it */
  lua_pop(L, 1);
  *entry = 0;
  for (int level = 1; lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "Sl", ar);
    if (own != NULL && begins(ar->source, own))
      *entry = level;
    else if (level == 1 || ar->currentline > 0)
      return true;
  }
  return false;
}

void lc_where(lua_State *L) {
  lua_Debug ar;
  int entry;
  if (blamed(L, &ar, &entry) && ar.currentline > 0)
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
}

int lc_error(lua_State *L, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  lc_where(L);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, 2);
  return lua_error(L);
}

static void call_at(lua_State *L, int level, lua_Debug *ar) {
  (void)lua_getstack(L, level, ar);
  lua_getinfo(L, "n", ar);
  if (ar->name == NULL)
    ar->name = "?";
}

int lc_badarg(lua_State *L, int arg, const char *text) {
  lua_Debug inner, outer;
  int entry;
  if (!blamed(L, &outer, &entry) || entry == 0)
    return luaL_argerror(L, arg, text);
  call_at(L, 0, &inner);
  call_at(L, entry, &outer);
  if (strcmp(inner.name, "?") == 0)
    inner = outer; /* it was relayed */
  if (strcmp(inner.name, outer.name) != 0 && strcmp(outer.name, "?") != 0)
    return lc_error(L, "bad argument to '%s' (%s)", outer.name, text);
  arg -= strcmp(inner.namewhat, "method") == 0; /* self is not counted */
  return lc_error(L, "bad argument #%d to '%s' (%s)", arg, inner.name, text);
}

int lc_parameters(lua_State *L) {
  lua_Debug of;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  (void)lua_getinfo(L, ">u", &of);
  if (of.isvararg)
    return 0;
  lua_pushinteger(L, of.nparams);
  return 1;
}

/* raise(text) */
int lc_raise(lua_State *L) { return lc_error(L, "%s", luaL_checkstring(L, 1)); }
