/* The half of keeper.c that deals with the process: its start and its end. */

#include "lua/keeper.h"

#include <stdio.h>

#include "base/status.h"
#include "lua/bindings/lexecutor.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/post.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/worker.h"
#include "sys/apr.h"
#include "wait/lot.h"

/* Tries to get a process until the tasks are told, and ns between two, twice as
   much each time up to a limit. */
enum { TRIES = 6, PAUSE = 10000000, LONGEST = 250000000 };

/* ---- The start ---- */

/* (keeper): a Process that waits at the other end of a new lane, started */
static int start_process(lua_State *L) {
  lc_keeper *k = lua_touserdata(L, 1);
  char name[64];
  lc_worker_apply(L, k->conf->env);
  apr_status_t st = conc_lane_new(&k->lane, k->w->thread);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  conc_thread_name(k->w->thread, name, sizeof name);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.process_worker");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "process");
  lua_pushstring(L, k->conf->method);
  lua_pushstring(L, name);
  lc_push(L, &k->lane->proxy.obj);
  lua_call(L, 3, 1);
  k->process = lc_check(L, -1, &conc_process_class);
  conc_retain(&k->process->obj);
  conc_lane_watch(k->lane, k->process);
  lua_getfield(L, -1, "start");
  lua_insert(L, -2);
  lua_call(L, 1, 0);
  return 0;
}

/* The initializer, or word that there is none, is the first task. */
static apr_status_t send_init(lc_keeper *k) {
  conc_msg init = k->conf->init; /* read only */
  conc_lane_head head = {.slot = 0};
  const conc_lane_load load = {.parts = conc_wire_parts_of(&init),
                               .tag = CONC_LANE_INIT};
  return conc_lane_give(k->lane, &head, &load, k->S->self);
}

static void let_go(lc_keeper *k) {
  if (k->lane != NULL)
    conc_release(&k->lane->proxy.obj);
  if (k->process != NULL)
    conc_release(&k->process->obj);
  k->lane = NULL;
  k->process = NULL;
  k->ready = k->drain = false;
  k->given = 0;
}

static void await_end(lc_keeper *k);
static void break_pool(lc_keeper *k, const char *text);

/* True: a process was started.  Otherwise why not is on the top. */
static bool try_to_hire(lc_keeper *k) {
  lua_State *L = k->L;
  char text[120];
  lua_pushcfunction(L, start_process);
  lua_pushlightuserdata(L, k);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
    apr_status_t st = send_init(k);
    lua_gc(L, LUA_GCCOLLECT); /* so that the lane goes with the process */
    if (st == APR_SUCCESS)
      return true;
    lc_push_text(L, conc_sys_strerror(st, text, sizeof text));
  }
  lua_gc(L, LUA_GCCOLLECT);
  if (k->process != NULL &&
      atomic_load(&k->process->stage) >= CONC_PROCESS_STARTED) {
    (void)conc_process_signal(k->process, CONC_KILL);
    await_end(k);
  }
  let_go(k);
  return false;
}

/* The reason is on the top: no worker has a process. */
static void give_up(lc_keeper *k) {
  conc_msg why;
  if (k->conf->on_death) {
    break_pool(k, "no worker process can be started");
    return;
  }
  lc_pack_broken(k->L, "BrokenExecutor", "no worker process can be started",
                 &why);
  conc_pool_fail_queued(k->p, &why);
}

/* There is no process; why is on the top, and is popped. */
static void missed(lc_keeper *k) {
  if (k->misses < TRIES)
    k->misses++;
  if (k->misses == TRIES)
    conc_worker_disable(k->w);
  if (conc_pool_disabled(k->p))
    give_up(k);
  lua_settop(k->L, 0);
}

static void pause_after_miss(lc_keeper *k) {
  conc_word never = 0;
  int64_t ns = (int64_t)PAUSE << (k->misses - 1);
  conc_time until = conc_sys_now() + (ns < LONGEST ? ns : LONGEST);
  apr_status_t st = APR_SUCCESS;
  while (!APR_STATUS_IS_TIMEUP(st) && !lc_keeper_hurried(k)) {
    st = conc_wait(&never, 0, lc_idle(k->S), until);
    if (st == CONC_INTERRUPTED)
      lc_attend(k->L, k->S);
    else if (st == CONC_CANCELLED)
      atomic_store(&k->S->self->cancel, 0);
  }
}

bool lc_keeper_hire(lc_keeper *k) {
  lua_settop(k->L, 0);
  if (k->misses > 0) {
    if (conc_worker_retire(k->w))
      return false;
    pause_after_miss(k);
  }
  if (!lc_keeper_hurried(k) && !try_to_hire(k))
    missed(k);
  return true;
}

/* ---- The end ---- */

bool lc_keeper_hurried(const lc_keeper *k) {
  return conc_pool_hurried(k->p) != CONC_LEISURE ||
         conc_root_cancelled(k->S->root);
}

/* Wait for the end of the process, and make it faster when somebody asks. */
static void await_end(lc_keeper *k) {
  conc_pool_pace told = CONC_LEISURE;
  conc_word *over = &k->lane->over;
  while (atomic_load(over) == 0) {
    conc_pool_pace pace = conc_pool_hurried(k->p);
    if (conc_root_cancelled(k->S->root))
      pace = CONC_HASTE;
    if (pace > told)
      (void)conc_process_signal(k->process, pace == CONC_HURRY ? CONC_TERMINATE
                                                               : CONC_KILL);
    told = pace;
    (void)conc_wait(over, 0, k->S->self, CONC_FOREVER);
    atomic_store(&k->S->self->cancel, 0);
  }
}

void lc_keeper_dismiss(lc_keeper *k) {
  conc_ring_close(&conc_lane_at(k->lane)->tasks, CONC_RING_NO_MORE);
  await_end(k);
  let_go(k);
}

void lc_keeper_abort(lc_keeper *k) {
  conc_msg *why = conc_pool_why(k->p), copy;
  for (unsigned i = 0; i < KEEPER_SLOTS; i++) {
    if (k->slots[i] == NULL)
      continue;
    copy = (conc_msg){0};
    if (why != NULL)
      (void)conc_msg_copy(&copy, why);
    if (conc_pool_told(k->p))
      k->slots[i]->quiet = true;
    lc_keeper_finish(
      k, i, why == NULL ? CONC_FUTURE_CANCELLED : CONC_FUTURE_FAILED, &copy);
  }
  if (k->lane == NULL)
    return;
  await_end(k);
  let_go(k);
}

/* ---- Deaths ---- */

static void set_integer(lua_State *L, const char *name, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

/* (process): a WorkerDied that says how */
static int make_death(lua_State *L) {
  conc_process *p = lua_touserdata(L, 1);
  char bytes[CONC_TAIL_BYTES], text[120];
  int signal = p->end.signal;
  const char *name = signal == 0 ? NULL : conc_sys_signal_name(signal);
  if (name != NULL)
    (void)snprintf(text, sizeof text, "the worker process %llu was ended by %s",
                   (unsigned long long)p->pid, name);
  else
    (void)snprintf(text, sizeof text, "the worker process %llu ended by %s %d",
                   (unsigned long long)p->pid,
                   signal != 0 ? "signal" : "itself, with exit code",
                   signal != 0 ? signal : p->end.code);
  lc_pusherror(L, "WorkerDied", text);
  set_integer(L, "pid", (lua_Integer)p->pid);
  set_integer(L, "exitcode", signal != 0 ? -signal : p->end.code);
  if (signal != 0) {
    if (name != NULL)
      lua_pushstring(L, name);
    else
      lua_pushfstring(L, "signal %d", signal);
    lua_setfield(L, -2, "signal");
  }
  if (p->tail != NULL) {
    lua_pushlstring(L, bytes, conc_tail_read(p->tail, bytes));
    lua_setfield(L, -2, "stderr");
  }
  return 1;
}

/* Push that, or what kept us from it. */
static void push_death(lc_keeper *k) {
  lua_pushcfunction(k->L, make_death);
  lua_pushlightuserdata(k->L, k->process);
  (void)lua_pcall(k->L, 1, 1, 0);
}

/* The reason is on the top, and is popped. */
static void break_pool(lc_keeper *k, const char *text) {
  (void)lc_break_pool(k->L, k->p, text, false);
  conc_pool_hurry(k->p, CONC_HASTE);
}

/* A future of one item that has failed so. */
static apr_status_t lost_item(lc_keeper *k, conc_future **out) {
  conc_msg why;
  apr_status_t st = conc_future_new(out);
  if (st != APR_SUCCESS)
    return st;
  (*out)->quiet = true;
  push_death(k);
  lua_pushnil(k->L);
  lc_pack_failure(k->L, -2, &why);
  lua_pop(k->L, 1);
  (void)conc_future_start(*out, NULL);
  (void)conc_future_finish(*out, CONC_FUTURE_FAILED, &why);
  return APR_SUCCESS;
}

/* A part of f's task, to be queued; none if the range is empty. */
static apr_status_t add_range(lc_piece *p, int i, conc_future *f,
                              lc_items range) {
  p->counts[i] = range.to - range.from;
  return p->counts[i] == 0 ? APR_SUCCESS : lc_range_new(&p->more[i], f, range);
}

/*
 * A chunk of a map, lost in one of its items: that one fails, the others are
 * done by other processes; see piece.h.  If it had just sent all that was begun,
 * none is lost.  False: all of them are to fail.
 */
static bool salvage(lc_keeper *k, unsigned slot) {
  enum { AGAIN, LOST, REST };
  conc_future *f = k->slots[slot];
  uint64_t at = atomic_load(&conc_lane_at(k->lane)->at);
  uint32_t item = (uint32_t)at, to = (uint32_t)(at >> 32);
  if ((f->kind != LC_TASK_CHUNK && f->kind != LC_TASK_RANGE) || at == 0)
    return false;
  lc_piece *p = lc_keeper_piece(k, slot);
  if (p == NULL)
    return false;
  uint32_t done = lc_range_of(f).from + p->done;
  uint32_t lost = item == done ? 0 : 1;
  if (item < done || item > to ||
      add_range(p, AGAIN, f, (lc_items){done, item - lost}) != APR_SUCCESS ||
      add_range(p, REST, f, (lc_items){item, to}) != APR_SUCCESS ||
      (lost != 0 && lost_item(k, &p->more[LOST]) != APR_SUCCESS))
    return false;
  p->counts[LOST] = lost;
  for (int i = REST; i >= AGAIN; i -= REST - AGAIN)
    if (p->more[i] != NULL)
      conc_pool_split(k->w, p->more[i]);
  conc_msg none = {0};
  lc_keeper_finish(k, slot, CONC_FUTURE_FINISHED, &none);
  return true;
}

/* A chunk of which no item had begun: nothing is lost, so it may be given to
   another process. */
static bool untouched(lc_keeper *k, conc_future *f) {
  return !k->conf->on_death && !lc_keeper_hurried(k) &&
         atomic_load(&conc_lane_at(k->lane)->at) == 0 && lc_range_again(f);
}

/* The task in the slot was lost with its process. */
static void judge(lc_keeper *k, unsigned slot) {
  conc_future *f = k->slots[slot];
  conc_msg why;
  if ((conc_future_asked(f) & (CONC_ASK_CANCEL | CONC_ASK_LATE)) != 0) {
    lc_keeper_return(k, slot); /* which ends it */
  } else if (lc_post_retry(f) || untouched(k, f)) {
    lc_keeper_return(k, slot);
  } else if (!k->conf->on_death &&
             (lc_keeper_hurried(k) || !salvage(k, slot))) {
    push_death(k);
    lua_pushnil(k->L);
    lc_pack_failure(k->L, -2, &why);
    lua_pop(k->L, 1);
    lc_keeper_finish(k, slot, CONC_FUTURE_FAILED, &why);
  }
}

void lc_keeper_lost(lc_keeper *k) {
  conc_ring *r = &conc_lane_at(k->lane)->results;
  conc_item item;
  conc_lane_await_over(k->lane, k->S->self);
  atomic_store(&k->S->self->cancel, 0);
  while (conc_ring_pop(r, &item, k->S->self, CONC_NOW) == APR_SUCCESS) {
    lc_keeper_deliver(k, &item);
    conc_item_fini(&item);
  }
  lc_keeper_take_back(k);
  bool accident = !lc_keeper_is_asked(k);
  for (unsigned i = 0; i < KEEPER_SLOTS; i++)
    if (k->slots[i] != NULL)
      judge(k, i);
  if (!k->failed && (!k->ready || (k->conf->on_death && accident))) {
    push_death(k);
    if (k->conf->on_death)
      break_pool(k, "a worker process died");
    else
      missed(k);
  }
  if (lc_keeper_hurried(k))
    lc_keeper_abort(k);
  else
    let_go(k);
}
