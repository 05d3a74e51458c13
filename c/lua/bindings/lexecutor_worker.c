/* The life of an executor's worker: set up, then one task after another. */

#include <stdio.h>

#include "core/thread.h"
#include "lua/bindings/lexecutor.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"
#include "lua/worker.h"

/* (pool): what the parent gives, then the user's initializer */
static int set_up(lua_State *L) {
  const conc_pool_conf *conf = lua_touserdata(L, 1);
  lc_worker_apply(L, conf->env);
  if (conf->init.size == 0)
    return 0;
  conc_msg init = conf->init; /* read only */
  int n = lc_unpack_copy(L, &init);
  lua_call(L, n - 1, 0);
  return 0;
}

/* (cause, class, text) */
static int make_broken(lua_State *L) {
  lc_pusherror(L, lua_touserdata(L, 2), lua_touserdata(L, 3));
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "cause");
  return 1;
}

/* (message, cause, class, text, as text): the same, packed, with the text of its
   cause in need */
static int pack_broken(lua_State *L) {
  conc_msg *m = lua_touserdata(L, 1);
  if (lua_toboolean(L, 5)) {
    lc_totext(L, 2);
    lua_replace(L, 2);
  }
  lua_pushcfunction(L, make_broken);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_call(L, 3, 1);
  luaL_tolstring(L, -1, NULL);
  lua_insert(L, -2);
  lc_push_traceback(L);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_insert(L, -2); /* text, traceback, value */
  lc_pack(L, lua_gettop(L) - 2, lua_gettop(L), "error", m);
  return 0;
}

void lc_pack_broken(lua_State *L, const char *cls, const char *text,
                    conc_msg *why) {
  int err = lua_gettop(L);
  *why = (conc_msg){0};
  for (int as_text = 0; as_text < 2 && why->size == 0; as_text++) {
    lua_pushcfunction(L, pack_broken);
    lua_pushlightuserdata(L, why);
    lua_pushvalue(L, err);
    lua_pushlightuserdata(L, (void *)(uintptr_t)cls);
    lua_pushlightuserdata(L, (void *)(uintptr_t)text);
    lua_pushboolean(L, as_text);
    if (lua_pcall(L, 5, 0, 0) != LUA_OK)
      lua_settop(L, err);
  }
  if (why->size == 0) {
    lua_pushnil(L);
    lc_pack_failure(L, err, why);
  }
  lua_settop(L, err - 1);
}

bool lc_break_pool(lua_State *L, conc_pool *p, const char *text, bool told) {
  conc_msg why;
  bool processes = conc_pool_conf_of(p)->processes;
  lc_pack_broken(L, processes ? "BrokenProcessPool" : "BrokenThreadPool", text,
                 &why);
  return conc_pool_break(p, &why, told);
}

void lc_init_failed(lua_State *L, conc_pool *p) {
  if (lc_break_pool(L, p, "the initializer of a worker failed", true))
    lc_tell("a pool is broken", conc_pool_why(p));
}

static bool begin(lua_State *L, conc_worker *w) {
  lua_pushcfunction(L, lc_traceback);
  lua_pushcfunction(L, set_up);
  lua_pushlightuserdata(L, (void *)conc_pool_conf_of(w->pool));
  if (lua_pcall(L, 1, 0, 1) != LUA_OK) {
    lc_init_failed(L, w->pool);
    return false;
  }
  lua_settop(L, 0);
  atomic_store(&w->startup, conc_sys_now() - w->hired);
  return true;
}

static void add(_Atomic int64_t *count, int64_t ns) {
  /* Relaxed: only this thread writes it. */
  atomic_store_explicit(count,
                        atomic_load_explicit(count, memory_order_relaxed) + ns,
                        memory_order_relaxed);
}

/* The next task, or NULL: leave. */
static conc_future *next_task(lua_State *L, lc_state *S, conc_worker *w) {
  const conc_pool_conf *conf = conc_pool_conf_of(w->pool);
  for (;;) {
    conc_future *f;
    conc_time until = CONC_FOREVER;
    if (conf->idle >= 0)
      until = conc_sys_now() + conf->idle;
    conc_parker *self = lc_idle(S);
    self->idle = true; /* nobody waits for this wait to end */
    apr_status_t st = conc_pool_take(w, &f, self, until);
    self->idle = false;
    if (st == APR_SUCCESS)
      return f;
    if (st == CONC_CLOSED ||
        (APR_STATUS_IS_TIMEUP(st) && conc_worker_retire(w)))
      return NULL;
    if (st == CONC_CANCELLED)
      atomic_store(&S->self->cancel, 0); /* what is queued is still done */
    if (st == CONC_INTERRUPTED)
      lc_attend(L, S);
  }
}

static void work(lua_State *L, lc_state *S, conc_worker *w) {
  const conc_pool_conf *conf = conc_pool_conf_of(w->pool);
  conc_time idle = conc_sys_now();
  conc_future *f;
  for (uint64_t n = 0; (f = next_task(L, S, w)) != NULL;) {
    if (lc_has_news(S))
      lc_attend(L, S); /* also when it never has to wait */
    conc_time begin, end = lc_run_task(L, w, f, &begin);
    add(&w->waited, begin - idle);
    add(&w->worked, end - begin);
    idle = end;
    if (++n >= conf->max_tasks && conf->max_tasks != 0 &&
        conc_worker_replace(w))
      return;
  }
}

void lc_pool_work(conc_worker *w, void *prepared) {
  static const unsigned char nomem[] = "\x11\xa0\x60\x71not enough memory";
  conc_thread *t = w->thread;
  t->arg = conc_pool_conf_of(w->pool)->arg; /* lc_worker_open looks there */
  lua_State *L = lc_worker_open(t, prepared);
  t->arg = w;
  if (L == NULL) {
    conc_msg why;
    (void)conc_msg_make(&why, nomem, sizeof nomem - 1, NULL, 0);
    conc_pool_break(w->pool, &why, false);
    return;
  }
  char here;
  lc_state *S = lc_open(L);
  S->pooled = w;
  S->base = (uintptr_t)&here;
  if (begin(L, w))
    work(L, S, w);
  lc_worker_close(L);
}

void lc_pool_interrupt(conc_worker *w) { conc_thread_interrupt(w->thread); }
