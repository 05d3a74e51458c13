/* Waiting, and what is made of what a wait gave. */

#include "core/deadlock.h"
#include "ipc/heap.h"
#include "lua/callback.h"
#include "lua/lc.h"
#include "lua/state.h"
#include "lua/task.h"
#include "sys/apr.h"

conc_parker *lc_self(lua_State *L) {
  lc_state *S = lc_get(L);
  if (S->self == NULL)
    lc_error(L, "conc: this state is closing");
  if (lc_has_news(S))
    lc_attend(L, S);
  S->running = L;
  S->interrupted = false;
  return S->self;
}

conc_parker *lc_idle(lc_state *S) {
  S->running = NULL;
  return S->self;
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

static void call_hook(lua_State *L, lc_state *S) {
  S->interrupted = true;
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
  S->interrupted = false;
}

/*
 * A hook was set while we waited: lua.c does so from its signal handler, and
 * the hook raises "interrupted!".  Calling any function runs it.  It stands on
 * the main coroutine, so it moves over when another one waits.  When it has
 * not raised and still stands it goes back, and is a debugger's: no news from
 * now on.  One that has removed itself is news when it comes again.
 */
static void run_main_hook(lua_State *L, lc_state *S) {
  lua_State *main = S->main;
  lua_Hook hook = lua_gethook(main), own = lua_gethook(L);
  int mask = lua_gethookmask(main), count = lua_gethookcount(main);
  int ownmask = lua_gethookmask(L), owncount = lua_gethookcount(L);
  if (hook == NULL)
    return;
  if (L != main) {
    lua_sethook(main, NULL, 0, 0);
    lua_sethook(L, hook, mask, count);
  }
  call_hook(L, S);
  if (L != main) {
    bool stands = lua_gethook(L) == hook;
    lua_sethook(L, own, ownmask, owncount);
    if (stands && lua_gethook(main) == NULL)
      lua_sethook(main, hook, mask, count);
  }
  S->hook = lua_gethook(main);
}

/* A host may also set it on the coroutine in which it runs a script.  A new
   coroutine has the hook of the one that made it: a debugger's, again. */
static void run_own_hook(lua_State *L, lc_state *S) {
  lua_Hook own = lua_gethook(L);
  if (L == S->main || own == NULL || own == S->own_hook || own == S->hook)
    return;
  call_hook(L, S);
  S->own_hook = lua_gethook(L);
}

bool lc_again(lua_State *L, apr_status_t st) {
  if (st == CONC_INTERRUPTED) {
    lc_attend(L, lc_get(L));
    run_main_hook(L, lc_get(L));
    run_own_hook(L, lc_get(L));
    lc_get(L)->running = L;
    return true;
  }
  if (st == CONC_CANCELLED) {
    lc_cancelled(L, lc_get(L));
    return true;
  }
  if (st == CONC_DEADLOCK) {
    char text[2000];
    conc_deadlock_text(lc_get(L)->root, text, sizeof text);
    lc_throw(L, "DeadlockError", "all threads wait for each other:%s", text);
  }
  return false;
}

static const char *word(apr_status_t st) {
  if (APR_STATUS_IS_TIMEUP(st))
    return "timeout";
  return st == CONC_CLOSED ? "closed" : NULL;
}

int lc_outcome(lua_State *L, apr_status_t st) {
  if (st == APR_SUCCESS) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (word(st) == NULL)
    return lc_fail(L, st);
  lua_pushnil(L);
  lua_pushstring(L, word(st));
  return 2;
}

int lc_truth(lua_State *L, apr_status_t st) {
  int n = lc_outcome(L, st);
  if (n == 2) {
    lua_pushboolean(L, 0);
    lua_replace(L, -3);
  }
  return n;
}

int lc_fail(lua_State *L, apr_status_t st) {
  char text[120];
  if (APR_STATUS_IS_ENOMEM(st)) {
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  if (st == CONC_EXHAUSTED && conc_heap_left())
    return lc_error(L, "shared memory is not to be had: this process was "
                       "forked after conc had made it");
  if (st == CONC_EXHAUSTED)
    return lc_throw(L, "SharedMemoryError", "no shared memory left");
  if (st == CONC_CORRUPT)
    return lc_error(L, "what another process sent makes no sense");
  if (word(st) != NULL)
    return lc_error(L, "%s", word(st));
  return lc_error(L, "%s", conc_sys_strerror(st, text, sizeof text));
}
