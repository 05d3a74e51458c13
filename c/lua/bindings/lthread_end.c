/* How a thread's uncaught error is told: traceback, excepthook. */

#include <stdio.h>

#include "core/root.h"
#include "lua/bindings/lthread.h"
#include "lua/types.h"

static const char traceback_key = 0;

int lc_traceback(lua_State *L) {
  luaL_traceback(L, L, NULL, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
  return 1; /* the error value itself */
}

void lc_push_traceback(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &traceback_key);
  lua_pushnil(L); /* it is not the next error's, which may have none */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
}

/*
 * Write in one piece: what the thread died of.  Arguments: name, error value,
 * traceback, a first line.
 */
static int report(lua_State *L) {
  const char *name = luaL_tolstring(L, 1, NULL);
  const char *message = lc_totext(L, 2);
  const char *where = luaL_tolstring(L, 3, NULL);
  lua_pushfstring(L, "%s '%s': %s\n%s\n", lua_tostring(L, 4), name, message,
                  where);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  fwrite(text, 1, len, stderr);
  fflush(stderr);
  return 0;
}

void lthread_push_name(lua_State *L, conc_thread *t) {
  char name[256];
  conc_thread_name(t, name, sizeof name);
  lua_pushstring(L, name);
}

/* threading.__excepthook__(info): print what the thread died of to stderr */
int lc_excepthook(lua_State *L) {
  lc_table(L, 1, "info");
  lua_settop(L, 1);
  lua_pushcfunction(L, report);
  lua_getfield(L, 1, "thread");
  conc_thread *t = (conc_thread *)lc_test(L, -1, &conc_thread_class);
  lua_pop(L, 1);
  if (t != NULL)
    lthread_push_name(L, t);
  else
    lua_pushliteral(L, "?");
  lua_getfield(L, 1, "exc_value");
  lua_getfield(L, 1, "traceback");
  lua_pushliteral(L, "uncaught error in thread");
  lua_call(L, 4, 0);
  return 0;
}

/* (thread, error value, traceback): call the hook with its info. */
static int call_hook(lua_State *L) {
  conc_thread *t = lua_touserdata(L, 1);
  if (lc_iserror(L, 2, "SystemExit") ||
      (lc_iserror(L, 2, "CancelledError") && conc_root_closing(t->root)))
    return 0;
  if (t->hook.size == 0)
    lua_pushcfunction(L, lc_excepthook);
  else
    lc_unpack_copy(L, &t->hook);
  lua_newtable(L);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "exc_value");
  if (lua_isnil(L, 3)) {
    lua_pushliteral(L, "");
    lua_replace(L, 3);
  }
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "traceback");
  lc_push(L, &t->obj);
  lua_setfield(L, -2, "thread");
  if (lua_pcallk(L, 1, 0, 0, 0, NULL) == LUA_OK)
    return 0;
  int bad = lua_gettop(L);
  for (int i = 0; i < 2; i++) { /* the hook's error, then the thread's */
    lua_pushcfunction(L, report);
    lthread_push_name(L, t);
    lua_pushvalue(L, i == 0 ? bad : 2);
    lua_pushvalue(L, 3);
    lua_pushstring(L, i == 0 ? "error in excepthook of thread"
                             : "uncaught error in thread");
    lua_call(L, 4, 0);
  }
  return 0;
}

void lthread_uncaught(lua_State *L, conc_thread *t) {
  lua_pushcfunction(L, call_hook);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, t);
  lua_insert(L, -2);
  lc_push_traceback(L);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    (void)fprintf(stderr,
                  "uncaught error in thread, and no memory to say it\n");
}
