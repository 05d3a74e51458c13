#ifndef SCRIPT_H
#define SCRIPT_H

/* Scripts in Lua, for the specs of states that a host makes. */

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/module.h"

/* conc.core as the global 'core'; conc's modules are found, if any are. */
static inline void open_core(lua_State *L) {
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
    lua_pushliteral(L, "lua/?.lua;lua/?/init.lua");
    lua_setfield(L, -2, "path");
  }
  lua_pop(L, 1);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_setglobal(L, "core");
}

static inline void run(lua_State *L, const char *script) {
  if (luaL_dostring(L, script) != LUA_OK) {
    fprintf(stderr, "%s\nin: %s\n", lua_tostring(L, -1), script);
    abort();
  }
  lua_settop(L, 0);
}

#endif
