/***
A condition: threads that hold a lock wait for others, who hold it in turn, to
say that something has changed.

Of a plain Lock nobody knows the holder: it counts as held when anybody holds
it.
@classmod Condition
*/

#include "core/condition.h"

#include "ipc/scondition.h"
#include "lua/acquired.h"
#include "lua/types.h"

/* ---- Of this process, or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  return lc_check_kind(L, &conc_condition_class, &conc_scondition_class.cls);
}

static inline conc_condition *local(const conc_obj *o) {
  return o->cls == &conc_condition_class ? (conc_condition *)o : NULL;
}

static inline conc_scondition *shared(const conc_obj *o) {
  return (conc_scondition *)o;
}

static apr_status_t c_acquire(conc_obj *c, conc_parker *self,
                              conc_time deadline) {
  return local(c) ? conc_condition_acquire(local(c), self, deadline)
                  : conc_scondition_acquire(shared(c), self, deadline);
}

static apr_status_t c_release(conc_obj *c, conc_parker *self) {
  return local(c) ? conc_condition_release(local(c), self)
                  : conc_scondition_release(shared(c), self);
}

static bool c_locked(const conc_obj *c) {
  return local(c) ? conc_condition_locked(local(c))
                  : conc_scondition_locked(shared(c));
}

static bool c_owned(const conc_obj *c, const conc_parker *self) {
  return local(c) ? conc_condition_owned(local(c), self)
                  : conc_scondition_owned(shared(c), self);
}

static apr_status_t c_wait(conc_obj *c, conc_parker *self, conc_time deadline) {
  return local(c) ? conc_condition_wait(local(c), self, deadline)
                  : conc_scondition_wait(shared(c), self, deadline);
}

static apr_status_t c_notify(conc_obj *c, size_t n, const conc_parker *self) {
  return local(c) ? conc_condition_notify(local(c), n, self)
                  : conc_scondition_notify(shared(c), n, self);
}

/* ---- Its lock: the methods of the lock, told of the lock ---- */

/***
Acquire its lock.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Condition the condition itself; or `false, "timeout"`; as for the lock,
it may come with the word "abandoned"
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = condition:acquire() -- until the end of the scope
*/
static int condition_acquire(lua_State *L) {
  conc_obj *c = check(L);
  if (lua_gettop(L) == 1) {
    apr_status_t st = c_acquire(c, lc_self(L), CONC_NOW);
    if (st == APR_SUCCESS || st == CONC_ABANDONED)
      return lc_acquired(L, st);
  }
  return lc_acquire(L, c, c_acquire);
}

static int release(lua_State *L, conc_obj *c) {
  if (c_release(c, lc_self(L)) == APR_SUCCESS)
    return 0;
  return lc_error(L, "cannot release a lock that %s",
                  c_locked(c) ? "another thread holds" : "is not held");
}

/***
Release its lock.
@function release
@raise when the lock would
*/
static int condition_release(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 1);
  return release(L, c);
}

static int condition_close(lua_State *L) { return release(L, check(L)); }

/***
Does anybody hold its lock?
@function locked
@treturn boolean
*/
static int condition_locked(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, c_locked(c));
  return 1;
}

/* Waiting. */

static int not_held(lua_State *L, const char *verb) {
  return lc_error(L, "cannot %s on an un-acquired lock", verb);
}

static apr_status_t await(lua_State *L, conc_obj *c, conc_time deadline) {
  apr_status_t st;
  do
    st = c_wait(c, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st == CONC_MISUSE)
    not_held(L, "wait");
  return st;
}

/***
Release the lock, however often it is held; wait to be notified; take the lock
back as it was. That last step takes as long as others hold the lock, also when
the time is up or the wait raises.
@function wait
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn boolean true; or `false, "timeout"`
@raise when the lock is not held; when the wait is cancelled or interrupted
*/
static int condition_wait(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  return lc_truth(L, await(L, c, deadline));
}

/* Leave what the predicate at 2 says on the top; is it truthy? */
static bool satisfied(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_call(L, 0, 1);
  return lua_toboolean(L, -1);
}

/***
Wait until a predicate returns something truthy. It is called with the lock
held: at once, after each notify, and at the end of the timeout.
@function wait_for
@tparam function predicate
@tparam[opt] number timeout seconds to wait for at most, all in all; nil is for
ever, 0 is not at all
@return what the predicate returned last; followed by "timeout" if that is not
truthy
@raise when the lock is not held; what the predicate raises; when the wait is
cancelled or interrupted
@usage local held <close> = condition:acquire()
condition:wait_for(function() return account.value >= 100 end)
*/
static int condition_wait_for(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 3);
  lc_function(L, 2, "predicate");
  conc_time deadline = lc_deadline(L, 3, "timeout");
  apr_status_t st = APR_SUCCESS;
  if (!c_owned(c, lc_self(L)))
    return not_held(L, "wait");
  while (!satisfied(L)) {
    if (st != APR_SUCCESS) {
      lua_pushliteral(L, "timeout");
      return 2;
    }
    st = await(L, c, deadline);
  }
  return 1;
}

static int notify(lua_State *L, conc_obj *c, size_t n) {
  if (c_notify(c, n, lc_self(L)) != APR_SUCCESS)
    return not_held(L, "notify");
  return 0;
}

/***
Let those who have waited longest go on, as soon as they get the lock.
@function notify
@tparam[opt=1] integer n how many, at most
@raise when the lock is not held
*/
static int condition_notify(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 2);
  lua_Integer n = lc_optinteger(L, 2, "n", 1, 0, LUA_MAXINTEGER);
  return notify(L, c, (lua_Unsigned)n < SIZE_MAX ? (size_t)n : SIZE_MAX);
}

/***
Let all who wait go on, as soon as they get the lock.
@function notify_all
@raise when the lock is not held
*/
static int condition_notify_all(lua_State *L) {
  conc_obj *c = check(L);
  lc_nomore(L, 1);
  return notify(L, c, SIZE_MAX);
}

static const luaL_Reg methods[] = {
  {"acquire", condition_acquire},       {"release", condition_release},
  {"locked", condition_locked},         {"wait", condition_wait},
  {"wait_for", condition_wait_for},     {"notify", condition_notify},
  {"notify_all", condition_notify_all}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", condition_close},
                                       {NULL, NULL}};

const lc_type lc_condition_type = {
  .cls = &conc_condition_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_scondition_type = {.cls = &conc_scondition_class.cls,
                                    .methods = methods,
                                    .metamethods = metamethods};

/***
Make a condition.
@function Condition
@tparam[opt] Lock|RLock lock its lock, which others may share; by default a new
RLock
@usage Condition()
Condition(lock)
Condition{lock = lock}
*/
int lc_condition(lua_State *L) {
  static const char *const names[] = {"lock", NULL};
  lc_options(L, names);
  conc_obj *lock = lc_optlock(L, 1, false, "");
  lc_box *box = lc_newbox(L, &conc_condition_class);
  conc_condition *c;
  apr_status_t st = conc_condition_new(&c, lock);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = (conc_obj *)c;
  return 1;
}

/* Condition([lock]) of conc.multiprocessing */
int lc_scondition(lua_State *L) {
  static const char *const names[] = {"lock", NULL};
  lc_options(L, names);
  conc_obj *lock = lc_optlock(L, 1, true, "");
  lc_box *box = lc_newbox(L, &conc_scondition_class.cls);
  conc_scondition *c;
  apr_status_t st = conc_scondition_new(&c, lock);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &c->proxy.obj;
  return 1;
}
