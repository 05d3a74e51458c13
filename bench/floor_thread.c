/*
 * The floor under Thread:start():join(): an OS thread that makes a Lua state
 * with the standard libraries, has nothing to do in it, and closes it.
 */
#include "floor.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>

static void *nothing(void *arg) { return arg; }

static void *bare_state(void *arg) {
  lua_State *L = luaL_newstate();
  floor_check(L != NULL, "luaL_newstate");
  lua_close(L);
  return arg;
}

static void *full_state(void *arg) {
  lua_State *L = luaL_newstate();
  floor_check(L != NULL, "luaL_newstate");
  luaL_openlibs(L);
  lua_close(L);
  return arg;
}

static void start_join(void *(*body)(void *)) {
  pthread_t thread;
  floor_check(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
  pthread_join(thread, NULL);
}

static void pthreads(long n) {
  for (long i = 0; i < n; i++)
    start_join(nothing);
}

static void bare_states(long n) {
  for (long i = 0; i < n; i++)
    bare_state(NULL);
}

static void full_states(long n) {
  for (long i = 0; i < n; i++)
    full_state(NULL);
}

static void threads_with_state(long n) {
  for (long i = 0; i < n; i++)
    start_join(full_state);
}

int main(void) {
  floor_print("thread.pthread", floor_each(pthreads, 500) * 1e6, "us");
  floor_print("thread.state", floor_each(bare_states, 2000) * 1e6, "us");
  floor_print("thread.state_libs", floor_each(full_states, 1000) * 1e6, "us");
  floor_print("thread.start", floor_each(threads_with_state, 500) * 1e6, "us");
  return 0;
}
