/*
 * The floor under every method and field of conc's objects: what a Lua
 * program pays for entering C with a userdata and coming back.
 */
#include "floor.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static lua_State *L;

static int empty_method(lua_State *state) {
  (void)state;
  return 0;
}

/* As acquire must: see that it is one of ours, give it back. */
static int checked_method(lua_State *state) {
  luaL_checkudata(state, 1, "floor.Object");
  lua_settop(state, 1);
  return 1;
}

static int empty_index(lua_State *state) {
  lua_settop(state, 1);
  return 1;
}

static void push_object(lua_CFunction index) {
  static const luaL_Reg methods[] = {
    {"empty", empty_method}, {"checked", checked_method}, {NULL, NULL}};
  lua_newuserdatauv(L, 1, 0);
  luaL_newmetatable(L, index ? "floor.Data" : "floor.Object");
  if (index)
    lua_pushcfunction(L, index);
  else
    luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

/* Call the chunk that lies on top of the stack with n. */
static void run_chunk(long n) {
  lua_pushvalue(L, -1);
  lua_pushinteger(L, n);
  floor_check(lua_pcall(L, 1, 0, 0) == LUA_OK, "a chunk");
}

static void print_chunk(const char *name, const char *code) {
  floor_check(luaL_loadstring(L, code) == LUA_OK, "compiling");
  floor_print(name, floor_each(run_chunk, 2000000) * 1e9, "ns");
  lua_pop(L, 1);
}

int main(void) {
  L = luaL_newstate();
  floor_check(L != NULL, "luaL_newstate");
  luaL_openlibs(L);
  push_object(NULL);
  lua_setglobal(L, "object");
  push_object(empty_index);
  lua_setglobal(L, "data");
  print_chunk("call.loop", "for _ = 1, ... do end");
  print_chunk("call.method",
              "local o = object for _ = 1, ... do o:empty() end");
  print_chunk("call.checked_method",
              "local o = object for _ = 1, ... do o:checked() end");
  print_chunk("call.index", "local d, x = data for _ = 1, ... do x = d.f end");
  lua_close(L);
  return 0;
}
