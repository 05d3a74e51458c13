#include "lua/state.h"

#include <string.h>

#include "core/root.h"
#include "ipc/sname.h"
#include "lua/bindings/lprocess.h"
#include "lua/errors.h"
#include "lua/worker.h"
#include "lua/writer.h"

static const char state_key = 0;

/* How long threads that nobody waits for get to leave at the end: ns. */
static const int64_t GRACE = 200000000;

/*
 * The state ends.  A host's takes its family with it (conc_root_close); boxes
 * were finalized before, since they are younger.
 */
static int state_gc(lua_State *L) {
  lc_state *S = lua_touserdata(L, 1);
  conc_parker *self = S->self;
  S->closed = true;
  lc_interrupt_close(S);
  if (S->inbox != NULL) {
    conc_inbox_close(S->inbox);
    conc_release((conc_obj *)S->inbox);
    S->inbox = NULL;
  }
  if (self != NULL && !S->worker) {
    conc_time end = S->interrupted       ? CONC_NOW
                    : S->close_limit < 0 ? CONC_FOREVER
                                         : conc_after(S->close_limit);
    conc_root_close(S->root, self, end, GRACE);
    lc_brood_close(S, self, end, GRACE);
    conc_sname_close(S->root);
    conc_parker_free(self);
  }
  S->self = NULL;
  if (S->thread != NULL)
    conc_release(&S->thread->obj);
  S->thread = NULL;
  conc_root_release(S->root);
  S->root = NULL;
  conc_release(S->env);
  S->env = NULL;
  conc_release_many((conc_obj *)S->plain_code, S->plain_credit);
  S->plain_fn = NULL;
  S->plain_credit = 0;
  lc_locals_close(&S->locals);
  lc_write_fini(&S->packer);
  return 0;
}

static void push_main(lua_State *L, lc_state *S) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  S->main = lua_tothread(L, -1);
  lua_pop(L, 1);
}

/* Push nothing; make the userdata and put it where lc_open finds it. */
static lc_state *new_state(lua_State *L, bool worker) {
  luaL_checkstack(L, 10, NULL);
  lc_state *S = lua_newuserdatauv(L, sizeof *S, 0);
  memset(S, 0, sizeof *S);
  S->worker = worker;
  S->close_limit = -1;
  S->tid = conc_sys_tid();
  S->packer.state = S;
  push_main(L, S);
  S->hook = lua_gethook(S->main);
  lua_pushglobaltable(L);
  S->packer.globals = lua_topointer(L, -1);
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  lc_push_error_class(L); /* registered from the start */
  lua_pop(L, 1);
  return S;
}

/* The root of a family, and the family's main thread: all, or nothing. */
static apr_status_t found_family(lc_state *S, unsigned libraries) {
  conc_crew_conf conf = {.prepare = lc_worker_prepare,
                         .discard = lc_worker_discard,
                         .arg = lc_libraries_arg(libraries)};
  conc_root *root;
  apr_status_t st = conc_root_new(&root, &conf);
  if (st != APR_SUCCESS)
    return st;
  conc_parker *self = conc_parker_new();
  if (self == NULL) {
    st = APR_ENOMEM;
    goto release_root;
  }
  st = conc_thread_adopt(&S->thread, root, "MainThread", self);
  if (st != APR_SUCCESS)
    goto free_parker;
  S->self = self;
  S->root = root;
  lc_interrupt_open(S);
  return APR_SUCCESS;

free_parker:
  conc_parker_free(self);
release_root:
  conc_root_release(root);
  return st;
}

/* A host's state without a family is new, or there was no memory for one. */
static void open_family(lua_State *L, lc_state *S) {
  luaL_checkstack(L, 10, NULL);
  apr_status_t st = found_family(S, lc_libraries(L));
  if (st != APR_SUCCESS)
    lc_fail(L, st);
}

lc_state *lc_open(lua_State *L) {
  lc_state *S = NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) == LUA_TUSERDATA)
    S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (S == NULL)
    S = new_state(L, false);
  if (S->root == NULL && !S->worker && !S->closed)
    open_family(L, S);
  return S;
}

lc_state *lc_open_worker(lua_State *L) { return new_state(L, true); }

void lc_adopt_worker(lc_state *S, conc_thread *t) {
  conc_retain(&t->obj);
  conc_root_retain(t->root);
  S->thread = t;
  S->root = t->root;
  S->self = t->parker;
  S->tid = conc_sys_tid();
  lc_interrupt_open(S);
}
