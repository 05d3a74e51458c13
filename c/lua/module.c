/* conc.core: everything of conc that is written in C, in one flat table. */

#include "lua/module.h"

#include <string.h>

#include "base/init.h"
#include "base/mem.h"
#include "core/blob.h"
#include "ipc/heap.h"
#include "lua/bindings/lprocess.h"
#include "lua/errors.h"
#include "lua/failure.h"
#include "lua/methods.h"
#include "lua/names.h"
#include "lua/state.h"
#include "lua/types.h"
#include "wait/lot.h"

#define VERSION "0.1.0"

/* sleep(seconds): not shorter than that */
static int do_sleep(lua_State *L) {
  conc_word word = 0; /* nobody wakes it */
  apr_status_t st;
  if (lua_isnoneornil(L, 1)) /* math.huge is for ever, and nothing else */
    lc_argerror(L, 1, "seconds", "number expected, got %s", lc_nameof(L, 1));
  conc_time deadline = lc_deadline(L, 1, "seconds");
  lc_nomore(L, 1);
  if (deadline == CONC_FOREVER)
    deadline--; /* it waits for nobody, and has no part in a deadlock */
  do {
    conc_waiter one = {.word = &word};
    size_t which;
    st = conc_wait_any(&one, 1, &which, lc_self(L), deadline);
  } while (lc_again(L, st));
  return 0;
}

/* time(): seconds of a monotonic clock, with an arbitrary zero */
static int do_time(lua_State *L) {
  lc_nomore(L, 0);
  lua_pushnumber(L, (lua_Number)conc_sys_now() / 1e9);
  return 1;
}

/* cpu_count(): processors this process may use */
static int cpu_count(lua_State *L) {
  lc_nomore(L, 0);
  lua_pushinteger(L, (lua_Integer)conc_sys_cpus());
  return 1;
}

static int try_send(lua_State *L) {
  conc_msg m;
  lc_pack(L, 1, 1, "value", &m);
  conc_msg_fini(&m);
  return 0;
}

/* sendable(v): true, or false and the reason */
static int sendable(lua_State *L) {
  lc_any(L, 1, "value");
  lc_nomore(L, 1);
  lua_pushcfunction(L, try_send);
  lua_insert(L, 1);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* stderr_is_terminal() */
static int stderr_is_terminal(lua_State *L) {
  lua_pushboolean(L, conc_sys_stderr_is_terminal());
  return 1;
}

/* stats(): what is alive in this process and this family, for leak checks */
static int stats(lua_State *L) {
  lc_state *S = lc_get(L);
  lc_nomore(L, 0);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer)conc_obj_count());
  lua_setfield(L, -2, "objects");
  lua_pushinteger(L, (lua_Integer)conc_blob_count());
  lua_setfield(L, -2, "cached");
  lua_pushinteger(
    L, S->root == NULL ? 0 : (lua_Integer)conc_root_threads(S->root, NULL, 0));
  lua_setfield(L, -2, "threads");
  lua_pushinteger(L, (lua_Integer)conc_heap_used().blocks);
  lua_setfield(L, -2, "shared");
  return 1;
}

/* fault(n [, everywhere]): let the n-th allocation from now fail, once; 0: none.
   The allocations of this thread are counted, or of all.  Returns how many were
   left until the one before; 0: that has failed */
static int fault(lua_State *L) {
  unsigned n = (unsigned)luaL_checkinteger(L, 1);
  lua_pushinteger(L, conc_mem_fail(n, lua_toboolean(L, 2)));
  return 1;
}

/* interrupt(thread): end its wait, or what it runs, with a CancelledError */
static int interrupt(lua_State *L) {
  conc_thread *t = lc_check(L, 1, &conc_thread_class);
  lc_nomore(L, 1);
  conc_thread_interrupt(t);
  return 0;
}

static const luaL_Reg functions[] = {
  {"sleep", do_sleep},
  {"time", do_time},
  {"cpu_count", cpu_count},
  {"sendable", sendable},
  {"register", lc_register},
  {"own", lc_own_chunks},
  {"parameters", lc_parameters},
  {"raise", lc_raise},
  {"stats", stats},
  {"stderr_is_terminal", stderr_is_terminal},
  {"fault", fault},
  {"interrupt", interrupt},
  {"select", lc_select},
  {"dump", lc_dump},
  {"detect_deadlocks", lc_detect_deadlocks},
  {"Lock", lc_lock},
  {"RLock", lc_rlock},
  {"Condition", lc_condition},
  {"Semaphore", lc_semaphore},
  {"BoundedSemaphore", lc_bounded},
  {"Event", lc_event},
  {"Barrier", lc_barrier},
  {"Queue", lc_fifo},
  {"LifoQueue", lc_lifo},
  {"PriorityQueue", lc_priority},
  {"SimpleQueue", lc_simple},
  {"Value", lc_value},
  {"Array", lc_array},
  {"Dict", lc_dict},
  {"Local", lc_local},
  {"Thread", lc_thread},
  {"ThreadPoolExecutor", lc_executor},
  {"ProcessPoolExecutor", lc_process_executor},
  {"shared_executor", lc_shared_executor},
  {"Promise", lc_promise},
  {"watch", lc_new_watch},
  {"failed", lc_failed},
  {"cancelled", lc_task_cancelled},
  {"shield", lc_shield},
  {"shielded", lc_shielded},
  {"exposed", lc_exposed},
  {"group", lc_new_group},
  {NULL, NULL}};

/* Those of conc.multiprocessing that threading has too: core.shared. */
static const luaL_Reg shared[] = {{"Lock", lc_slock},
                                  {"RLock", lc_srlock},
                                  {"Condition", lc_scondition},
                                  {"Semaphore", lc_ssemaphore},
                                  {"BoundedSemaphore", lc_sbounded},
                                  {"Event", lc_sevent},
                                  {"Barrier", lc_sbarrier},
                                  {"Value", lc_svalue},
                                  {"Array", lc_sarray},
                                  {"SharedMemory", lc_smemory},
                                  {"Queue", lc_squeue},
                                  {"JoinableQueue", lc_sjoinable},
                                  {"SimpleQueue", lc_ssimple},
                                  {"Pipe", lc_pipe},
                                  {NULL, NULL}};

int lc_open_core(lua_State *L) {
  atomic_store(&conc_future_forgotten, lc_forgotten);
  luaL_newlibtable(L, functions);
  lc_setfuncs(L, functions);
  lc_setfuncs(L, lc_thread_functions);
  lc_setfuncs(L, lc_process_functions);
  lc_setfuncs(L, lc_listener_functions);
  lc_setfuncs(L, lc_conn_functions);
  lc_setfuncs(L, lc_wait_functions);
  lc_setfuncs(L, lc_chunk_functions);
  lua_newtable(L);
  lc_setfuncs(L, lc_serve_functions);
  lua_setfield(L, -2, "child");
  lua_newtable(L);
  lc_setfuncs(L, lc_crypto_functions);
  lua_setfield(L, -2, "crypto");
  lua_newtable(L);
  lc_setfuncs(L, lc_dict_functions);
  lua_setfield(L, -2, "dict");
  lc_pushmethods(L, "Future", strlen("Future"));
  lua_setfield(L, -2, "Future");
  lua_newtable(L);
  lc_setfuncs(L, shared);
  lua_setfield(L, -2, "shared");
  lc_push_error_class(L);
  lua_setfield(L, -2, "Error");
  lua_pushliteral(L, VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}

/* Whoever has no APR is told at once. */
LC_EXPORT int luaopen_conc_core(lua_State *L) {
  apr_status_t st = conc_init();
  luaL_checkversion(L);
  return st == APR_SUCCESS ? lc_open_core(L) : lc_fail(L, st);
}
