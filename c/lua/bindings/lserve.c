/* What a worker process of a ProcessPoolExecutor does; see ipc/lane.h. */

#include <lualib.h>

#include "ipc/lane.h"
#include "lua/bindings/lmap.h"
#include "lua/bindings/lprocess.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"
#include "lua/worker.h"

const lc_type lc_lane_type = {&conc_lane_class.cls, NULL, NULL, NULL, 0, false};

/* ---- Answers ---- */

static apr_status_t send_message(conc_lane *lane, conc_lane_head *head,
                                 uint8_t tag, conc_msg *m, conc_parker *self) {
  const conc_lane_load load = {.parts = conc_wire_parts_of(m), .tag = tag};
  return conc_lane_answer(lane, head, &load, self);
}

/* Send what came of the task; if that cannot be, why.  Without a word the
   executor would wait for ever: then the process ends. */
static void answer(lua_State *L, conc_lane *lane, conc_lane_head *head,
                   conc_future *f) {
  conc_msg why;
  lc_state *S = lc_open(L);
  conc_future_state how = conc_future_is(f);
  apr_status_t st = send_message(lane, head, (uint8_t)(CONC_LANE_ENDED + how),
                                 &f->msg, S->self);
  if (st == APR_SUCCESS)
    return;
  if (st == CONC_MISUSE) {
    lua_pushliteral(L, "result: holds what cannot leave the process");
    lua_pushliteral(L, "");
    lc_pack_failure(L, -2, &why);
    lua_pop(L, 1);
  } else {
    lc_pack_status(L, st, &why);
  }
  st = send_message(lane, head, CONC_LANE_ENDED + CONC_FUTURE_FAILED, &why,
                    S->self);
  conc_msg_fini(&why);
  if (st != APR_SUCCESS)
    conc_sys_end_now(1);
}

/* ---- Tasks ---- */

/* (message): call what is in it */
static int initialize(lua_State *L) {
  int n = lc_unpack(L, lua_touserdata(L, 1));
  lua_call(L, n - 1, 0);
  return 0;
}

/* Do the initializer, if there is one, and say so; false: it failed. */
static bool begin(lua_State *L, conc_lane *lane, const conc_item *item) {
  conc_lane_head head = {0};
  lc_state *S = lc_open(L);
  conc_msg m, why = {0};
  lua_pushcfunction(L, lc_traceback);
  int top = lua_gettop(L);
  bool ok = true;
  if (item->size > sizeof head) {
    if (conc_lane_decode(lane, &m, item) == APR_SUCCESS) {
      lua_pushcfunction(L, initialize);
      lua_pushlightuserdata(L, &m);
      ok = lua_pcall(L, 1, 0, top) == LUA_OK;
      conc_msg_fini(&m);
    } else {
      lua_pushliteral(L, "the initializer cannot be rebuilt");
      ok = false;
    }
  }
  apr_status_t st;
  if (ok) {
    st = send_message(lane, &head, CONC_LANE_READY, &why, S->self);
  } else {
    lc_push_traceback(L);
    lc_pack_failure(L, top + 1, &why);
    st = send_message(lane, &head, CONC_LANE_BROKEN, &why, S->self);
    conc_msg_fini(&why);
  }
  lua_settop(L, top - 1);
  if (st != APR_SUCCESS)
    conc_sys_end_now(1);
  return ok;
}

/* ---- Chunks of a map ---- */

typedef struct stream {
  lc_stream s;
  conc_lane *lane;
  conc_parker *self;
  uint8_t slot;
} stream;

static apr_status_t send_part(lc_stream *s, conc_msg *results, lc_items items) {
  stream *to = (stream *)(void *)s;
  conc_lane_head head = {.slot = to->slot, .from = items.from, .to = items.to};
  return send_message(to->lane, &head, CONC_LANE_PART, results, to->self);
}

/* A future that nobody but this function sees, so that a task here is what it
   is in a thread. */
static void run(lua_State *L, conc_lane *lane, const conc_item *item) {
  conc_future *f;
  conc_msg m;
  if (conc_lane_head_of(item) == NULL)
    conc_sys_end_now(1);
  conc_lane_head head = {.slot = conc_lane_head_of(item)->slot};
  lc_items range = {conc_lane_head_of(item)->from, conc_lane_head_of(item)->to};
  if (conc_future_new(&f) != APR_SUCCESS)
    conc_sys_end_now(1);
  f->quiet = true;
  f->kind = item->tag;
  apr_status_t st = conc_lane_decode(lane, &m, item);
  (void)conc_future_start(f, NULL);
  if (st == APR_SUCCESS) {
    f->msg = m;
    conc_retain(&f->obj);
    conc_time begun;
    stream out = {{f, range, &conc_lane_at(lane)->at, send_part},
                  lane,
                  lc_open(L)->self,
                  head.slot};
    lc_open(L)->stream = &out.s;
    conc_time end = lc_run_task(L, NULL, f, &begun);
    lc_open(L)->stream = NULL;
    head.ns = end - begun;
  } else {
    lua_pushliteral(L, "the task cannot be rebuilt");
    lua_pushliteral(L, "");
    lc_pack_failure(L, -2, &m);
    lua_pop(L, 1);
    (void)conc_future_finish(f, CONC_FUTURE_FAILED, &m);
  }
  answer(L, lane, &head, f);
  /* From here on a death is not one in an item of this chunk. */
  atomic_store(&conc_lane_at(lane)->at, 0);
  conc_release(&f->obj);
}

/* child.work(lane): do what comes along it, until it is closed */
static int work(lua_State *L) {
  conc_lane *lane = lc_check(L, 1, &conc_lane_class.cls);
  lc_state *S = lc_get(L);
  conc_item item;
  lua_getglobal(L, LUA_OSLIBNAME);
  if (lua_istable(L, -1)) {
    lua_pushcfunction(L, lc_worker_exit);
    lua_setfield(L, -2, "exit");
  }
  lua_settop(L, 1);
  (void)lc_self(L);
  S->serving = true;
  for (;;) {
    apr_status_t st = conc_ring_pop(&conc_lane_at(lane)->tasks, &item,
                                    lc_idle(S), CONC_FOREVER);
    bool go_on = true;
    if (st == CONC_CLOSED)
      return 0;
    if (st == CONC_INTERRUPTED)
      lc_attend(L, S);
    else if (st == CONC_CANCELLED)
      atomic_store(&S->self->cancel, 0);
    else if (st != APR_SUCCESS)
      return lc_fail(L, st);
    if (st != APR_SUCCESS)
      continue;
    if (item.tag == CONC_LANE_INIT)
      go_on = begin(L, lane, &item);
    else if (item.tag == CONC_LANE_BLOB)
      go_on = conc_lane_keep(lane, &item) == APR_SUCCESS;
    else
      run(L, lane, &item);
    conc_item_fini(&item);
    if (!go_on)
      return 0;
  }
}

const luaL_Reg lc_serve_functions[] = {{"work", work}, {NULL, NULL}};
