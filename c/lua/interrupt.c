/*
 * Setting a hook from outside.  lua_sethook may be called at any time in the
 * state's own thread; from another one it does two things that need care.
 *
 * It writes a few plain fields.  Nobody else writes them but a program that
 * calls debug.sethook in the same moment, whose hook may get lost.  A nudge
 * that gets lost is seen in the next wait.
 *
 * It walks over the records of active calls, to mark them.  A call that returns
 * meanwhile leaves its record in place, but the collector may free it then.  So
 * a state that can be nudged has an allocator that frees nothing while it is
 * visited.  The visitor says so first, and reads where the chain begins then;
 * whoever frees a record has shortened the chain before, and looks for visitors
 * then.  (A fence for all stands between the visitor's word and its look.)
 */

#include "lua/interrupt.h"

#include "core/deadlock.h"
#include "lua/lc.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/trace.h"
#include "wait/mutex.h"

/* Tell who asked what this thread is at; L: its running coroutine, or NULL. */
static void answer(lua_State *L, const lc_state *S, bool waits) {
  conc_parker *self = S->self;
  if (conc_parker_answer(self, CONC_ASKED_ABOUT))
    lc_trace_wait(L, self->about, sizeof self->about);
  if (conc_parker_answer(self, CONC_ASKED_REPORT))
    conc_thread_tell(S->thread, lc_trace(L, S, waits));
}

/* Do what was asked for, in a running program. */
static void serve(lua_State *L, lc_state *S) {
  const conc_parker *self = S->self;
  if (self != NULL)
    answer(L, S, false);
  if (self != NULL && self->shield == 0 && atomic_load(&self->cancel) != 0)
    lc_cancelled(L, S);
}

static bool is_asked(const lc_state *S) {
  const conc_parker *self = S->self;
  return self != NULL && (atomic_load(&self->cancel) != 0 ||
                          (atomic_load(&self->asked) &
                           (CONC_ASKED_ABOUT | CONC_ASKED_REPORT)) != 0);
}

/* The state's own hook, if it wants that event, which is none of our making. */
static void call_own(lua_State *L, const lc_interrupt *own, lua_Debug *ar) {
  if (own->hook != NULL && (own->mask & 1 << ar->event) != 0)
    own->hook(L, ar);
}

/* Before an instruction; ours stays, and is called again at the next one. */
static void spare(lua_State *L, lc_state *S, lua_Debug *ar) {
  lc_interrupt *in = &S->interrupt;
  if (ar->event == LUA_HOOKCOUNT) {
    S->grace--;
    return;
  }
  conc_mutex_lock(&in->lock);
  lc_interrupt own = {.hook = in->hook, .mask = in->mask};
  conc_mutex_unlock(&in->lock);
  call_own(L, &own, ar);
}

/*
 * Give the state its own hook back and tell what that was.  A coroutine that
 * was made since the nudge has inherited ours.
 */
static lc_interrupt restore(lua_State *L, lc_state *S) {
  lc_interrupt *in = &S->interrupt;
  conc_mutex_lock(&in->lock);
  lc_interrupt own = {.hook = in->hook, .mask = in->mask, .count = in->count};
  lua_sethook(L, own.hook, own.mask, own.count);
  conc_mutex_unlock(&in->lock);
  return own;
}

static void hook(lua_State *L, lua_Debug *ar) {
  lc_state *S = lc_open(L);
  if (S->grace > 0) {
    spare(L, S, ar);
    return;
  }
  lc_interrupt own = restore(L, S);
  call_own(L, &own, ar);
  serve(L, S);
}

/*
 * lua_sethook writes the mask and marks the calls that it finds; a function
 * that is entered meanwhile is linked in and then reads the mask.  Lua puts no
 * fence there, so both could miss the other; hence a fence for all, after
 * which the mask is seen by who enters, and the call by who looks once more.
 *
 * The coroutine that is nudged is there: when it is read here it runs or has
 * just ended, and nothing is freed from now on.
 */
static void nudge(void *arg) {
  lc_state *S = arg;
  lc_interrupt *in = &S->interrupt;
  conc_mutex_lock(&in->lock);
  atomic_store(&in->visited, 1);
  conc_sys_fence_all();
  lua_State *L = atomic_load(&in->body);
  lua_Hook old = lua_gethook(L);
  if (old != hook) {
    in->hook = old;
    in->mask = lua_gethookmask(L);
    in->count = lua_gethookcount(L);
  }
  lua_sethook(L, hook, in->mask | LUA_MASKCOUNT, 1);
  conc_sys_fence_all();
  lua_sethook(L, hook, in->mask | LUA_MASKCOUNT, 1);
  atomic_store(&in->visited, 0);
  conc_mutex_unlock(&in->lock);
}

/*
 * A nudge that has missed the coroutine that begins here, or the one that goes
 * on, was asked for before: who asks writes what it wants and then reads
 * 'body', who enters and leaves writes 'body' and then reads that (seq_cst).
 */
lua_State *lc_interrupt_switch(lc_state *S, lua_State *co) {
  return atomic_exchange(&S->interrupt.body, co);
}

lua_State *lc_interrupt_enter(lua_State *L, lc_state *S, lua_State *co) {
  lua_State *outer = lc_interrupt_switch(S, co);
  if (is_asked(S)) {
    (void)lc_interrupt_switch(S, outer);
    serve(L, S);
    (void)lc_interrupt_switch(S, co);
  }
  return outer;
}

void lc_interrupt_leave(lua_State *L, lc_state *S, lua_State *outer) {
  (void)lc_interrupt_switch(S, outer);
  if (is_asked(S))
    serve(L, S);
}

static void *allocate(void *ud, void *p, size_t osize, size_t nsize) {
  lc_interrupt *in = ud;
  if (nsize == 0 && p != NULL)
    while (atomic_load(&in->visited) != 0)
      conc_sys_yield();
  return in->alloc(in->ud, p, osize, nsize);
}

static bool poll_worker(void *arg) {
  const lc_state *S = arg;
  answer(S->running, S, true);
  return (atomic_load(&S->self->asked) & CONC_ASKED_NOTES) != 0;
}

/* New since we last looked?  Then somebody wants the host's state back. */
static bool poll_host(void *arg) {
  lc_state *S = arg;
  lua_State *L = S->running;
  lua_Hook now = lua_gethook(S->main);
  lua_Hook own = L == NULL || L == S->main ? NULL : lua_gethook(L);
  bool notes = poll_worker(arg);
  conc_deadlock_look(S->root);
  return notes || (now != NULL && now != S->hook) ||
         (own != NULL && own != S->own_hook && own != S->hook);
}

void lc_interrupt_open(lc_state *S) {
  lc_interrupt *in = &S->interrupt;
  S->self->arg = S;
  S->self->poll = S->worker ? poll_worker : poll_host;
  S->self->sliced = !S->worker;
  atomic_store(&in->body, S->main);
  if (!S->worker)
    return;
  in->alloc = lua_getallocf(S->main, &in->ud);
  lua_setallocf(S->main, allocate, in);
  conc_thread_reach(S->thread, nudge, S);
}

lua_Alloc lc_interrupt_alloc(lua_State *L, void **ud) {
  lua_Alloc f = lua_getallocf(L, ud);
  if (f != allocate)
    return f;
  const lc_interrupt *in = *ud;
  *ud = in->ud;
  return in->alloc;
}

void lc_interrupt_close(lc_state *S) {
  lc_interrupt *in = &S->interrupt;
  if (S->self == NULL)
    return;
  S->self->poll = NULL;
  if (!S->worker)
    return;
  conc_thread_reach(S->thread, NULL, NULL);
  lua_setallocf(S->main, in->alloc, in->ud);
}
