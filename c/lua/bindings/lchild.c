/* What a child process does before it runs Lua of the user's. */

#include <lualib.h>

#include "base/init.h"
#include "base/status.h"
#include "ipc/child.h"
#include "lua/bindings/lprocess.h"
#include "lua/module.h"
#include "lua/state.h"
#include "lua/wire.h"
#include "lua/worker.h"

static conc_handle check_channel(lua_State *L) {
  return (conc_handle)luaL_checkinteger(L, 1);
}

/* What a parent that is killed has shared goes with it. */
static bool orphaned(conc_handle channel, apr_status_t st) {
  unsigned char byte;
  size_t n = 1;
  return st == APR_EOF ||
         (st == CONC_CORRUPT && conc_sys_read(channel, &byte, &n) == APR_EOF);
}

/* Push the values that come next through the channel; without a parent there
   is nothing to do. */
static int receive(lua_State *L, conc_handle channel) {
  conc_wire *w = lc_newwire(L);
  int top = lua_gettop(L);
  apr_status_t st = conc_child_job(channel, w);
  if (orphaned(channel, st))
    conc_sys_end_now(1);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  (void)lc_unpack_wire(L, w, true);
  conc_wire_fini(w);
  return lua_gettop(L) - top;
}

/* child.receive(channel): the values */
static int child_receive(lua_State *L) { return receive(L, check_channel(L)); }

/* child.share(heap): join the memory that the parent shares */
static int child_share(lua_State *L) {
  apr_status_t st = conc_child_share((conc_handle)luaL_checkinteger(L, 1));
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

/* child.bind(channel, parent's pid): end when the parent does */
static int child_bind(lua_State *L) {
  uint64_t parent = (uint64_t)luaL_checkinteger(L, 2);
  apr_status_t st = conc_child_bind(check_channel(L), parent);
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

/* child.serve_forks(channel): in each process that is forked, its channel */
static int child_serve_forks(lua_State *L) {
  conc_handle given;
  apr_status_t st = conc_init(); /* what is loaded here, all of them have */
  if (st == APR_SUCCESS)
    st = conc_sys_forks_serve(check_channel(L), &given);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  lua_pushinteger(L, (lua_Integer)given);
  return 1;
}

static void set_relative(lua_State *L, conc_relative which, const char *name,
                         uint64_t pid, bool daemon) {
  conc_brood *b = lc_brood(L);
  conc_process *p;
  apr_status_t st = conc_process_adopt(&p, b, name, pid);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  p->daemon = daemon;
  p = conc_brood_set_relative(b, which, p);
  if (p != NULL)
    conc_release(&p->obj);
}

/* child.identify(name, daemon, parent's name, parent's pid): who we are */
static int child_identify(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *parent = luaL_checkstring(L, 3);
  set_relative(L, CONC_SELF, name, conc_sys_pid(), lua_toboolean(L, 2));
  set_relative(L, CONC_PARENT, parent, (uint64_t)luaL_checkinteger(L, 4),
               false);
  conc_sys_name_thread(name);
  return 0;
}

/* child.whole_lines(): print and io.write put out their text in one piece */
static int child_whole_lines(lua_State *L) {
  lc_whole_lines(L);
  return 0;
}

/*
 * The allocator of a state that is about to be closed with its process: it
 * gives memory, through the one that was there, and takes none back.  To free
 * what the kernel frees anyway would, in a forked process, copy each page that
 * it shares with the fork server.  Who looks for leaks would find them.
 */
#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
static const bool looked_at = true;
#else
static const bool looked_at = false;
#endif

typedef struct giver {
  lua_Alloc alloc;
  void *arg;
} giver;

static void *give(void *arg, void *p, size_t old, size_t size) {
  const giver *g = arg;
  return size == 0 ? NULL : g->alloc(g->arg, p, old, size);
}

/* child.keep_all(): nothing is freed any more; for who is about to exit */
static int child_keep_all(lua_State *L) {
  if (looked_at)
    return 0;
  giver *g = lua_newuserdatauv(L, sizeof *g, 0);
  luaL_ref(L, LUA_REGISTRYINDEX);
  g->alloc = lua_getallocf(L, &g->arg);
  lua_setallocf(L, give, g);
  return 0;
}

static const luaL_Reg functions[] = {{"receive", child_receive},
                                     {"bind", child_bind},
                                     {"share", child_share},
                                     {"serve_forks", child_serve_forks},
                                     {"identify", child_identify},
                                     {"whole_lines", child_whole_lines},
                                     {"set_note", lc_set_note},
                                     {"keep_all", child_keep_all},
                                     {NULL, NULL}};

/* package[name] = the field of the table at 'from' */
static void set_package(lua_State *L, int from, const char *field) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, from, field);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

/*
 * Push what the module conc.child returns.  The parent sends it compiled, if it
 * could find it: a search along package.path takes longer than all the rest.
 */
static void push_program(lua_State *L, int job) {
  size_t size;
  lua_getfield(L, job, "program");
  const char *text = lua_tolstring(L, -1, &size);
  if (text != NULL) {
    if (luaL_loadbufferx(L, text, size, "conc.child", "b") != LUA_OK)
      lua_error(L);
    lua_call(L, 0, 1);
  } else {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "conc.child");
    lua_call(L, 1, 1);
  }
}

/* (channel): the program of every child; conc.child does the rest. */
static int run_child(lua_State *L) {
  static const char *const fields[] = {"path", "cpath", "config"};
  conc_handle channel = check_channel(L);
  lua_settop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, lc_open_core);
  lua_setfield(L, -2, "conc.core");
  if (receive(L, channel) != 1 || !lua_istable(L, -1))
    return lc_error(L, "conc: no job for this process");
  int job = lua_gettop(L);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    set_package(L, job, fields[i]);
  push_program(L, job);
  lua_pushvalue(L, job);
  lua_pushvalue(L, 1);
  lua_newtable(L);
  lc_setfuncs(L, functions);
  lua_call(L, 3, 0);
  return 0;
}

/* (channel [, true | parent's pid]): run, say hello, or sweep after it */
LC_EXPORT int luaopen_conc_child(lua_State *L) {
  luaL_checkversion(L);
  conc_sys_pin();
  if (!lua_toboolean(L, 2))
    return run_child(L);
  if (lua_isinteger(L, 2))
    conc_child_sweep(check_channel(L), (uint64_t)lua_tointeger(L, 2));
  else
    conc_child_hello(check_channel(L));
  return 0;
}
