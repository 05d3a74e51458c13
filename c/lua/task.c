#include "lua/task.h"

#include <stdio.h>
#include <string.h>

#include "core/future.h"
#include "lua/bindings/lexecutor.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/types.h"

/* ---- One task ---- */

static void ring_late(conc_alarm *a) {
  (void)conc_future_ask((conc_future *)a->target, CONC_ASK_LATE);
}

/* The task may run for so many seconds from now; raises. */
static void set_timeout(lua_State *L, lc_task *t, double seconds) {
  conc_clock *clock = conc_root_clock(lc_open(L)->root);
  apr_status_t st = conc_alarm_new(&t->alarm, &t->future->obj, ring_late, NULL);
  if (st == APR_SUCCESS)
    st = conc_clock_set(clock, t->alarm, conc_after(seconds));
  if (st != APR_SUCCESS)
    lc_fail(L, st);
}

/* The first two of the task's n values, at 2: timeout and name. */
static int take_options(lua_State *L, lc_task *t) {
  if (lua_isnumber(L, 2))
    set_timeout(L, t, lua_tonumber(L, 2));
  if (lua_isstring(L, 3))
    (void)snprintf(t->name, sizeof t->name, "%s", lua_tostring(L, 3));
  lua_remove(L, 2);
  lua_remove(L, 2);
  return lua_gettop(L) - 1;
}

/* Is it worth to remember how long this took?  The function is on the top. */
static void name_slow(lua_State *L, lc_task *t, const conc_worker *w) {
  lua_Debug ar;
  t->end = conc_sys_now();
  if (t->name[0] != '\0' || w == NULL ||
      !conc_pool_is_slow(w->pool, t->end - t->begin)) {
    lua_pop(L, 1);
  } else if (lua_type(L, -1) != LUA_TFUNCTION) {
    (void)snprintf(t->name, sizeof t->name, "%s", lc_nameof(L, -1));
    lua_pop(L, 1);
  } else {
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined < 0)
      (void)snprintf(t->name, sizeof t->name, "a C function");
    else
      (void)snprintf(t->name, sizeof t->name, "%s:%d", ar.short_src,
                     ar.linedefined);
  }
}

/* (task, worker): do it, pack what it returns */
static int do_task(lua_State *L) {
  lc_task *t = lua_touserdata(L, 1);
  const conc_worker *w = lua_touserdata(L, 2);
  lua_settop(L, 1);
  int n = lc_unpack_with(L, t->state, &t->msg);
  conc_msg_fini(&t->msg); /* its objects live here now */
  if (t->future->kind == LC_TASK_CHUNK) {
    lc_do_chunk(L, n, &t->msg);
    return 0;
  }
  if (t->future->kind == LC_TASK_OPTIONS)
    n = take_options(L, t);
  lua_pushvalue(L, 2);
  lua_insert(L, 2);
  lua_call(L, n - 1, LUA_MULTRET);
  lc_pack_answer(L, 3, lua_gettop(L), "result", &t->msg);
  lua_settop(L, 2);
  name_slow(L, t, w);
  return 0;
}

/* (error value): raises if it is no CancelledError */
static int check_cancelled(lua_State *L) {
  return lc_iserror(L, 1, "CancelledError") ? 0 : lua_error(L);
}

static bool is_cancelled(lua_State *L, int err) {
  lua_pushcfunction(L, check_cancelled);
  lua_pushvalue(L, err);
  bool yes = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lua_settop(L, err);
  return yes;
}

/* The whole executor is to end at once, see lc_close_executor. */
static bool is_hurried(const lc_state *S) {
  return S->pooled != NULL &&
         conc_pool_hurried(S->pooled->pool) != CONC_LEISURE;
}

/* It ended with the error on the top of the stack.  Nothing here may raise. */
static conc_future_state fail(lua_State *L, lc_task *t) {
  int err = lua_gettop(L);
  conc_msg_fini(&t->msg);
  bool asked = t->told && (conc_future_asked(t->future) & CONC_ASK_CANCEL) != 0;
  if ((asked || is_hurried(t->state)) && is_cancelled(L, err))
    return CONC_FUTURE_CANCELLED;
  lc_push_traceback(L);
  lc_pack_failure(L, err, &t->msg);
  return CONC_FUTURE_FAILED;
}

/*
 * The running task was asked to stop while what runs inside it had the thread:
 * that took no notice, so it is said again.
 */
static void remind(lc_state *S) {
  if (lc_is_asked(S))
    conc_thread_interrupt(S->thread);
}

/* No cancellation of a task that has ended is left for the next one. */
static void forget_asking(lc_state *S) {
  atomic_store(&S->self->cancel, 0);
  if (conc_root_cancelled(S->root) || is_hurried(S))
    conc_parker_cancel(S->self);
}

static conc_future_state try_task(lua_State *L, lc_task *t, conc_worker *w) {
  lua_pushcfunction(L, lc_traceback);
  int handler = lua_gettop(L);
  lua_pushcfunction(L, do_task);
  lua_pushlightuserdata(L, t);
  lua_pushlightuserdata(L, w);
  if (lua_pcall(L, 2, 0, handler) == LUA_OK)
    return CONC_FUTURE_FINISHED;
  return fail(L, t);
}

/* Only this thread writes it. */
static void deepen(conc_worker *w, uint32_t by) {
  if (w != NULL)
    atomic_store_explicit(
      &w->depth, atomic_load_explicit(&w->depth, memory_order_relaxed) + by,
      memory_order_relaxed);
}

static void settle(lc_task *t, conc_worker *w, conc_time took) {
  deepen(w, (uint32_t)-1);
  if (w != NULL && conc_pool_is_slow(w->pool, took))
    conc_pool_slow(w->pool, took, t->name[0] == '\0' ? "?" : t->name);
}

conc_time lc_run_task(lua_State *L, conc_worker *w, conc_future *f,
                      conc_time *begin) {
  lc_state *S = lc_open(L);
  lc_task t = {
    .state = S, .future = f, .outer = S->task, .begin = conc_sys_now()};
  int top = lua_gettop(L);
  t.msg = conc_msg_take(&f->msg);
  S->task = &t;
  deepen(w, 1);
  conc_future_state how = try_task(L, &t, w);
  S->task = t.outer;
  lua_settop(L, top);
  if (t.alarm != NULL) {
    conc_clock_clear(conc_root_clock(S->root), t.alarm);
    conc_release(&t.alarm->obj);
  }
  conc_time end = t.end != 0 ? t.end : conc_sys_now();
  if (begin != NULL)
    *begin = t.begin;
  settle(&t, w, end - t.begin);
  if (w != NULL) /* before anybody submits more because of the result */
    conc_worker_ended(w, how);
  if (conc_future_finish(f, how, &t.msg) != 0)
    forget_asking(S);
  remind(S);
  conc_release(&f->obj);
  return end;
}

typedef struct caller {
  conc_runner runner;
  conc_thread *thread;
} caller;

static void interrupt_here(conc_runner *r) {
  conc_thread_interrupt(((caller *)r)->thread);
}

void lc_run_here(lua_State *L, conc_pool *p, conc_future *f) {
  caller h = {{interrupt_here}, lc_open(L)->thread};
  if (!conc_future_start(f, &h.runner))
    return;
  conc_retain(&f->obj);
  (void)lc_run_task(L, NULL, f, NULL);
  conc_pool_ran(p, conc_future_is(f));
}

/* ---- Being stopped ---- */

bool lc_is_asked(const lc_state *S) {
  return S->task != NULL && !S->task->told &&
         (conc_future_asked(S->task->future) & ~(unsigned)CONC_ASK_LEAVE) != 0;
}

bool lc_was_stopped(lua_State *L) {
  const lc_state *S = lc_open(L);
  return S->task != NULL && S->task->told;
}

bool lc_must_end(lua_State *L) {
  const lc_state *S = lc_open(L);
  return lc_was_stopped(L) || conc_root_cancelled(S->root);
}

int lc_end_here(lua_State *L) {
  const lc_task *t = lc_open(L)->task;
  if (t == NULL || !t->told)
    lc_throw(L, "CancelledError", "cancelled");
  if ((conc_future_asked(t->future) & CONC_ASK_CANCEL) == 0)
    lc_throw(L, "TimeoutError", "the task ran for longer than its timeout");
  lc_throw(L, "CancelledError", "the task was cancelled");
  return 0;
}

void lc_tell_again(lua_State *L, bool before) {
  lc_state *S = lc_open(L);
  if (before || !lc_was_stopped(L))
    return;
  S->task->told = false;
  remind(S);
}

void lc_cancelled(lua_State *L, lc_state *S) {
  lc_task *t = S->task;
  atomic_store(&S->self->cancel, 0); /* it is delivered once */
  if (lc_is_asked(S)) {
    t->told = true;
    lc_end_here(L);
  }
  if (t == NULL || conc_root_cancelled(S->root) || is_hurried(S))
    lc_throw(L, "CancelledError", "cancelled");
}
