/***
An event: a flag that threads wait for.
@classmod Event
*/

#include "core/event.h"

#include "lua/types.h"

static conc_event *check(lua_State *L) {
  return lc_check(L, 1, &conc_event_class);
}

/***
Is it set?
@function is_set
@treturn boolean
*/
static int event_is_set(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_event_is_set(e));
  return 1;
}

/***
Set it: everybody who waits goes on, and who comes later does not wait.
@function set
*/
static int event_set(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  conc_event_set(e);
  return 0;
}

/***
Clear it: who comes from now on waits. Those who waited while it was set go on,
even if they have not got round to it yet.
@function clear
*/
static int event_clear(lua_State *L) {
  conc_event *e = check(L);
  lc_nomore(L, 1);
  conc_event_clear(e);
  return 0;
}

/***
Wait until it is set.
@function wait
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn boolean true; or `false, "timeout"`
@raise when the wait is cancelled or interrupted
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

const lc_type lc_event_type = {.cls = &conc_event_class, .methods = methods};

/***
Make an event, which is clear.
@function Event
*/
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
