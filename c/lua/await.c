#include "lua/await.h"

#include "core/future.h"
#include "lua/callback.h"
#include "lua/state.h"
#include "lua/task.h"
#include "wait/lot.h"
#include "wait/spin.h"

/* ---- Helping ---- */

/*
 * How much of its C stack a worker has used when it runs no more tasks inside
 * the ones it runs already.  Each takes two or three KB, and what its own
 * calls of C take: Lua allows two hundred of those.
 */
enum { STACK_FOR_HELP = 512 * 1024 };

static bool may_help(const lc_state *S) {
  char here;
  if (S->task == NULL || S->pooled == NULL)
    return false;
  uintptr_t at = (uintptr_t)&here, base = S->base;
  return (at < base ? base - at : at - base) < STACK_FOR_HELP;
}

/*
 * Run f inside the task that waits, whose shield is not for f.  In a coroutine
 * of its own: the depth of C calls that Lua allows is counted for each.
 */
static void run_inside(lua_State *co, lc_state *S, conc_future *f) {
  lua_State *outer = S->running;
  uint32_t shield = S->self->shield, deaf = S->self->deaf;
  S->running = co;
  S->self->shield = S->self->deaf = 0;
  lua_State *body = lc_interrupt_switch(S, co);
  (void)lc_run_task(co, S->pooled, f, NULL);
  (void)lc_interrupt_switch(S, body);
  S->self->shield = shield;
  S->self->deaf = deaf;
  S->running = outer;
}

/* This worker takes no more tasks for a while: somebody else should. */
static void pass_on(const conc_worker *w) {
  if (w != NULL && conc_pool_ready(w->pool))
    conc_gate_notify(conc_pool_gate(w->pool));
}

/*
 * Run one task of the worker's executor, if there is one to run.  Husks count:
 * the gate is open while there are any, and taking is what removes them.
 */
static bool help(lua_State *L, lc_state *S, const lc_goal *g, bool any) {
  conc_worker *w = S->pooled;
  if (conc_pool_empty(w->pool))
    return false;
  luaL_checkstack(L, 4, NULL);
  lua_State *co = lua_newthread(L); /* may raise: before f is started */
  conc_future *f = g->claim(g->arg, w);
  if (f != NULL)
    pass_on(w);
  if (f == NULL && any)
    (void)conc_pool_take(w, &f, S->self, CONC_NOW);
  if (f != NULL)
    run_inside(co, S, f);
  lua_pop(L, 1);
  if (S->self->shield == 0 && lc_is_asked(S)) /* meanwhile */
    lc_cancelled(L, S);
  return f != NULL;
}

conc_pool *lc_helped(lua_State *L) {
  const lc_state *S = lc_get(L);
  return may_help(S) ? S->pooled->pool : NULL;
}

bool lc_help(lua_State *L, const lc_goal *g, bool any) {
  return help(L, lc_get(L), g, any);
}

void lc_helped_enough(lua_State *L) { pass_on(lc_get(L)->pooled); }

/* ---- Waiting ---- */

/* The goal's own wait is over; it had been prepared. */
static void unprepare(const lc_goal *g, bool chosen) {
  if (g->room != NULL)
    conc_gate_leave(conc_pool_room(g->room), chosen);
}

typedef struct two {
  const lc_goal *g;
  const conc_pool *p;
} two;

static bool either(const void *arg) {
  const two *t = arg;
  return t->g->ready(t->g->arg) || conc_pool_ready(t->p);
}

/*
 * Sleep until the goal may be ready, or there may be a task in the pool.  Who
 * was woken for a task and does not take it has to pass that on: see pass_on,
 * and spec/models/helping.pml.
 */
static apr_status_t sleep_on_both(lc_state *S, const lc_goal *g,
                                  conc_time deadline) {
  conc_pool *p = S->pooled->pool;
  conc_gate *gate = conc_pool_gate(p);
  conc_waiter list[2] = {{0}, {0}};
  size_t which = 2;
  if (conc_spin(S->self, either, &(two){g, p}))
    return APR_EAGAIN;
  if (!g->prepare(g->arg, &list[0]))
    return APR_SUCCESS;
  conc_gate_enter(gate, &list[1]);
  apr_status_t st = APR_EAGAIN;
  if (!conc_pool_ready(p))
    st = conc_wait_any(list, 2, &which, S->self, deadline);
  conc_gate_leave(gate, st == APR_SUCCESS && which == 1);
  unprepare(g, st == APR_SUCCESS && which == 0);
  return st;
}

static apr_status_t sleep_on(lc_state *S, const lc_goal *g,
                             conc_time deadline) {
  conc_waiter one = {0};
  size_t which;
  if (conc_spin(S->self, g->ready, g->arg))
    return APR_SUCCESS;
  if (!g->prepare(g->arg, &one))
    return APR_SUCCESS;
  apr_status_t st = conc_wait_any(&one, 1, &which, S->self, deadline);
  unprepare(g, st == APR_SUCCESS);
  return st;
}

/* Does the goal need that a task which is queued in the pool begins? */
static bool needs(const lc_goal *g, const conc_pool *p) {
  return g->room == p || (g->wanted != NULL && conc_pool_has(p, g->wanted));
}

/* A worker that may not help waits. */
static apr_status_t sleep_stuck(lua_State *L, lc_state *S, const lc_goal *g) {
  conc_pool *p = S->pooled->pool;
  if (!needs(g, p))
    return sleep_on(S, g, CONC_FOREVER);
  if (!conc_pool_stick(p))
    lc_throw(L, "DeadlockError",
             "every worker of the executor waits for tasks that are queued, "
             "and tasks are nested too deeply to run one more inside");
  apr_status_t st = sleep_on(S, g, CONC_FOREVER);
  conc_pool_unstick(p);
  return st;
}

static apr_status_t wait_once(lua_State *L, lc_state *S, const lc_goal *g,
                              conc_time deadline) {
  bool any = deadline == CONC_FOREVER;
  if (!may_help(S))
    return S->task != NULL && S->pooled != NULL && any
             ? sleep_stuck(L, S, g)
             : sleep_on(S, g, deadline);
  if (help(L, S, g, any))
    return APR_EAGAIN;
  return any && !conc_pool_over(S->pooled->pool) ? sleep_on_both(S, g, deadline)
                                                 : sleep_on(S, g, deadline);
}

apr_status_t lc_await(lua_State *L, const lc_goal *g, conc_time deadline) {
  lc_state *S = lc_get(L);
  (void)lc_self(L);
  while (!g->ready(g->arg)) {
    if (deadline == CONC_NOW)
      return APR_TIMEUP;
    apr_status_t st = wait_once(L, S, g, deadline);
    if (APR_STATUS_IS_TIMEUP(st))
      return g->ready(g->arg) ? APR_SUCCESS : st;
    (void)lc_again(L, st);
  }
  pass_on(S->pooled);
  return APR_SUCCESS;
}

/* ---- One future ---- */

static bool is_done(const void *arg) { return conc_future_done(arg); }

static bool prepare(void *arg, conc_waiter *w) {
  conc_future *f = arg;
  w->word = &f->word;
  return conc_future_prepare(f, &w->expected);
}

static conc_future *claim(void *arg, conc_worker *w) {
  return conc_pool_claim(w, arg) ? arg : NULL;
}

/* Who waits for ever must not wait for what its own thread is in. */
static void refuse_circle(lua_State *L, const conc_future *f) {
  for (const lc_task *t = lc_get(L)->task; t != NULL; t = t->outer)
    if (t->future == f)
      lc_throw(L, "DeadlockError",
               t == lc_get(L)->task
                 ? "a task waits for itself"
                 : "a task waits for one that it runs inside of");
}

apr_status_t lc_await_future(lua_State *L, conc_future *f, conc_time deadline) {
  const lc_state *S = lc_get(L);
  if (conc_future_done(f) && S->pooled == NULL && S->listed == 0) {
    (void)lc_self(L);
    return APR_SUCCESS;
  }
  if (deadline == CONC_FOREVER && !conc_future_done(f))
    refuse_circle(L, f);
  lc_goal g = {.arg = f,
               .ready = is_done,
               .prepare = prepare,
               .claim = claim,
               .wanted = f};
  apr_status_t st = lc_await(L, &g, deadline);
  if (st == APR_SUCCESS && lc_get(L)->listed != 0)
    lc_run_callbacks(L, f);
  return st;
}

/* ---- One of several ---- */

static bool watch_ready(const void *arg) {
  return conc_watch_ready(arg) || conc_watch_left(arg) == 0;
}

static bool prepare_watch(void *arg, conc_waiter *w) {
  w->word = conc_watch_word(arg);
  w->expected = atomic_load(w->word);
  return !watch_ready(arg);
}

static conc_future *claim_watched(void *arg, conc_worker *w) {
  return conc_watch_claim(arg, w);
}

apr_status_t lc_await_watch(lua_State *L, conc_watch *w, conc_time deadline) {
  lc_goal g = {.arg = w,
               .ready = watch_ready,
               .prepare = prepare_watch,
               .claim = claim_watched};
  return lc_await(L, &g, deadline);
}

/* ---- Room ---- */

/* Under a gate's rules: enter, ask, and leave if there is no need to wait. */
static bool prepare_room(void *arg, conc_waiter *w) {
  conc_gate *room = conc_pool_room(arg);
  conc_gate_enter(room, w);
  if (!conc_pool_has_room(arg))
    return true;
  conc_gate_leave(room, false);
  return false;
}

static conc_future *claim_none(void *arg, conc_worker *w) {
  (void)arg;
  (void)w;
  return NULL;
}

void lc_await_room(lua_State *L, conc_pool *p) {
  lc_goal g = {.arg = p,
               .ready = conc_pool_has_room,
               .prepare = prepare_room,
               .claim = claim_none,
               .room = p};
  (void)lc_await(L, &g, CONC_FOREVER);
}
