/***
An event: a flag that threads wait for.
@classmod Event
*/

#include "core/event.h"

#include "ipc/sevent.h"
#include "lua/acquired.h"
#include "lua/types.h"

/* ---- Of this process, or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  return lc_check_kind(L, &conc_event_class, &conc_sevent_class.cls);
}

static inline conc_event *local(const conc_obj *o) {
  return o->cls == &conc_event_class ? (conc_event *)o : NULL;
}

static inline conc_sevent *shared(const conc_obj *o) {
  return (conc_sevent *)o;
}

static apr_status_t e_wait(conc_obj *e, uint32_t seen, conc_parker *self,
                           conc_time deadline) {
  return local(e) ? conc_event_wait(local(e), seen, self, deadline)
                  : conc_sevent_wait(shared(e), seen, self, deadline);
}

/* ---- Methods ---- */

/***
Is it set?
@function is_set
@treturn boolean
*/
static int event_is_set(lua_State *L) {
  conc_obj *e = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, local(e) ? conc_event_is_set(local(e))
                              : conc_sevent_is_set(shared(e)));
  return 1;
}

/***
Set it: everybody who waits goes on, and who comes later does not wait.
@function set
*/
static int event_set(lua_State *L) {
  conc_obj *e = check(L);
  lc_nomore(L, 1);
  if (local(e))
    conc_event_set(local(e));
  else
    conc_sevent_set(shared(e));
  return 0;
}

/***
Clear it: who comes from now on waits. Those who waited while it was set go on,
even if they have not got round to it yet.
@function clear
*/
static int event_clear(lua_State *L) {
  conc_obj *e = check(L);
  lc_nomore(L, 1);
  if (local(e))
    conc_event_clear(local(e));
  else
    conc_sevent_clear(shared(e));
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
  conc_obj *e = check(L);
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  uint32_t seen =
    local(e) ? conc_event_look(local(e)) : conc_sevent_look(shared(e));
  apr_status_t st;
  do
    st = e_wait(e, seen, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_truth(L, st);
}

static const luaL_Reg methods[] = {{"is_set", event_is_set},
                                   {"set", event_set},
                                   {"clear", event_clear},
                                   {"wait", event_wait},
                                   {NULL, NULL}};

const lc_type lc_event_type = {.cls = &conc_event_class, .methods = methods};
const lc_type lc_sevent_type = {.cls = &conc_sevent_class.cls,
                                .methods = methods};

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

/* Event() of conc.multiprocessing */
int lc_sevent(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_sevent_class.cls);
  conc_sevent *e;
  apr_status_t st = conc_sevent_new(&e);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &e->proxy.obj;
  return 1;
}
