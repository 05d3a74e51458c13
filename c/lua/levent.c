#include "core/event.h"

#include "lua/types.h"

static conc_event *check(lua_State *L) {
  return lc_check(L, 1, &conc_event_class);
}

/* event:is_set() -> boolean */
static int event_is_set(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_event_is_set(e));
  return 1;
}

/* event:set(): everybody who waits goes on, and who comes later does not wait. */
static int event_set(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  conc_event_set(e);
  return 0;
}

/* event:clear(): who comes from now on waits. */
static int event_clear(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  conc_event_clear(e);
  return 0;
}

/*
 * event:wait([timeout]): wait until it is set, for at most that many seconds.
 * Returns true, or false, "timeout".
 */
static int event_wait(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  uint32_t seen = conc_event_look(e);
  apr_status_t st;
  do
    st = conc_event_wait(e, seen, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_truth(L, st);
}

static const luaL_Reg methods[] = {{"is_set", event_is_set},
                                   {"set", event_set},
                                   {"clear", event_clear},
                                   {"wait", event_wait},
                                   {NULL, NULL}};

const lc_type lc_event_type = {&conc_event_class, methods, NULL, NULL, 0};

/* Event() */
int lc_event(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_event_class);
  conc_event *e;
  apr_status_t st = conc_event_new(&e);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &e->obj;
  return 1;
}
