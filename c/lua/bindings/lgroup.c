/*
 * What TaskGroup stands on (lua/conc/group.lua): conc.core.group(policy,
 * timeout).
 */

#include <string.h>

#include "core/alarm.h"
#include "core/group.h"
#include "core/root.h"
#include "lua/await.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/types.h"

static conc_group *check(lua_State *L) {
  return lc_check(L, 1, &conc_group_class);
}

static void ring(conc_alarm *a) { conc_group_late((conc_group *)a->target); }

/* The alarm holds the group until it rings, or until all members are done. */
static void set_timeout(lua_State *L, conc_group *g, conc_time at) {
  conc_alarm *a;
  apr_status_t st = conc_alarm_new(&a, (conc_obj *)g, ring, NULL);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  conc_group_keep(g, &a->obj);
  st = conc_clock_set(conc_root_clock(lc_get(L)->root), a, at);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
}

static void drop_timeout(conc_root *root, conc_group *g) {
  conc_alarm *a = (conc_alarm *)conc_group_kept(g);
  if (a == NULL)
    return;
  conc_clock_clear(conc_root_clock(root), a);
  conc_group_keep(g, NULL);
}

/* group(policy, timeout): policy is "all", "first" or "collect" */
int lc_new_group(lua_State *L) {
  static const char *const policies[] = {"all", "first", "collect", NULL};
  conc_group *g;
  int policy = luaL_checkoption(L, 1, NULL, policies);
  conc_time at = lc_deadline(L, 2, "timeout");
  lc_nomore(L, 2);
  (void)lc_self(L);
  lc_box *box = lc_newbox(L, &conc_group_class);
  if (conc_group_new(&g, (conc_group_policy)policy) != APR_SUCCESS)
    return lc_fail(L, APR_ENOMEM);
  box->obj = (conc_obj *)g;
  if (at != CONC_FOREVER)
    set_timeout(L, g, at);
  return 1;
}

/* g:add(future) */
static int add(lua_State *L) {
  conc_group *g = check(L);
  conc_future *f = lc_check(L, 2, &conc_future_class);
  apr_status_t st = conc_group_add(g, f);
  return st == APR_SUCCESS ? 0 : lc_fail(L, st);
}

static int cancel(lua_State *L) {
  conc_group_cancel(check(L));
  return 0;
}

static bool ready(const void *arg) {
  return atomic_load(conc_group_open((conc_group *)arg)) == 0;
}

static bool prepare(void *arg, conc_waiter *w) {
  w->word = conc_group_open(arg);
  w->expected = atomic_load(w->word);
  return w->expected != 0;
}

static conc_future *claim(void *arg, conc_worker *w) {
  return conc_group_claim(arg, w);
}

/* g:wait([timeout]): until all members are done; true, or false and "timeout" */
static int await(lua_State *L) {
  conc_group *g = check(L);
  lc_goal goal = {.arg = g, .ready = ready, .prepare = prepare, .claim = claim};
  apr_status_t st = lc_await(L, &goal, lc_deadline(L, 2, "timeout"));
  if (st == APR_SUCCESS)
    drop_timeout(lc_get(L)->root, g);
  return lc_truth(L, st);
}

/* g:late(): was it cancelled as its time was over? */
static int late(lua_State *L) {
  lua_pushboolean(L, conc_group_is_late(check(L)));
  return 1;
}

/*
 * g:ended(): the positions of those that are done in the order of their ends,
 * each followed by "finished", "failed" or "cancelled" and for a failure its
 * error value, as a sequence of {position, word, error}
 */
static int ended(lua_State *L) {
  static const char *const words[] = {"cancelled", "finished", "failed"};
  conc_group *g = check(L);
  lua_newtable(L);
  for (conc_member *m = NULL; (m = conc_group_next(g, m)) != NULL;) {
    conc_future *f = conc_member_future(m);
    size_t order = conc_member_ended(m);
    if (order == 0)
      continue;
    lua_createtable(L, 3, 0);
    lua_pushinteger(L, (lua_Integer)conc_member_number(m) + 1);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, words[conc_future_is(f) - CONC_FUTURE_CANCELLED]);
    lua_rawseti(L, -2, 2);
    if (conc_future_is(f) == CONC_FUTURE_FAILED) {
      lc_push_error_of(L, f);
      lua_rawseti(L, -2, 3);
    }
    lua_rawseti(L, -2, (lua_Integer)order);
  }
  return 1;
}

static const luaL_Reg methods[] = {{"add", add},     {"cancel", cancel},
                                   {"wait", await},  {"late", late},
                                   {"ended", ended}, {NULL, NULL}};

const lc_type lc_group_type = {
  &conc_group_class, methods, NULL, NULL, 0, false};
