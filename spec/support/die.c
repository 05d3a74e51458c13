/*
 * require "spec.die"(): end this process as kill -9 does, and at once.
 *
 * A command that does so takes a while to start; who is killed from elsewhere
 * then leaves it behind half started, which Wine 8 does not survive: the command
 * stays for ever, with all that it has inherited.
 */

#include <lua.h>

#ifdef _WIN32
#include <windows.h>

#define EXPORT __declspec(dllexport)
enum { KILLED = 0x10000 }; /* as in c/sys */

static int die(lua_State *L) {
  (void)L;
  return !TerminateProcess(GetCurrentProcess(), KILLED + 9);
}
#else
#include <signal.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int die(lua_State *L) {
  (void)L;
  return kill(getpid(), SIGKILL);
}
#endif

EXPORT int luaopen_spec_die(lua_State *L) {
  lua_pushcfunction(L, die);
  return 1;
}
