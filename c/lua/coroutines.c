#include "lua/coroutines.h"

#include <lauxlib.h>
#include <lualib.h>

#include "lua/interrupt.h"
#include "lua/state.h"

enum { ORIGINAL = 2, COROUTINE };

/* Call the original, which is on the stack below its n arguments, while 'co'
   runs. */
static int call_in(lua_State *L, lua_State *co, int n) {
  lc_state *S = lc_get(L);
  lua_State *outer = lc_interrupt_enter(L, S, co);
  int status = lua_pcall(L, n, LUA_MULTRET, 0);
  lc_interrupt_leave(L, S, outer);
  return status;
}

/* coroutine.resume(co, ...) */
static int resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  int n = lua_gettop(L);
  luaL_argexpected(L, co != NULL, 1, "coroutine");
  lua_pushvalue(L, lua_upvalueindex(ORIGINAL));
  lua_insert(L, 1);
  if (call_in(L, co, n) != LUA_OK)
    return lua_error(L);
  return lua_gettop(L);
}

/* What coroutine.wrap returns. */
static int run_wrapped(lua_State *L) {
  int n = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(ORIGINAL));
  lua_insert(L, 1);
  if (call_in(L, lua_tothread(L, lua_upvalueindex(COROUTINE)), n) == LUA_OK)
    return lua_gettop(L);
  if (lua_type(L, -1) == LUA_TSTRING) { /* as the original: who called it */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* coroutine.wrap(f): the original's closure has the coroutine as upvalue. */
static int wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushlightuserdata(L, lc_get(L));
  lua_pushvalue(L, lua_upvalueindex(ORIGINAL));
  lua_rotate(L, 1, 2); /* address, original, arguments */
  lua_call(L, lua_gettop(L) - 2, 1);
  if (lua_getupvalue(L, 2, 1) == NULL || !lua_isthread(L, -1)) {
    lua_settop(L, 2);
    return 1;
  }
  lua_pushcclosure(L, run_wrapped, COROUTINE);
  return 1;
}

static void replace(lua_State *L, const char *name, lua_CFunction f) {
  lua_pushlightuserdata(L, lc_open(L));
  lua_getfield(L, -2, name);
  lua_pushcclosure(L, f, ORIGINAL);
  lua_setfield(L, -2, name);
}

void lc_watch_coroutines(lua_State *L) {
  if (lua_getglobal(L, LUA_COLIBNAME) == LUA_TTABLE) {
    replace(L, "resume", resume);
    replace(L, "wrap", wrap);
  }
  lua_pop(L, 1);
}
