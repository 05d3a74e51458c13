/***
A condition: threads that hold a lock wait for others, who hold it in turn, to
say that something has changed.

Of a plain Lock nobody knows the holder: it counts as held when anybody holds
it.
@classmod Condition
*/

#include "core/condition.h"

#include "core/lock.h"
#include "core/rlock.h"
#include "lua/acquired.h"
#include "lua/types.h"

static conc_condition *check(lua_State *L) {
  return lc_check(L, 1, &conc_condition_class);
}

/* Its lock: the methods of the lock, told of the lock. */

static int acquire_slowly(lua_State *L, conc_condition *c) {
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = conc_condition_acquire(c, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st == CONC_MISUSE)
    return luaL_error(L, "cannot acquire an RLock that often");
  return lc_acquired(L, st);
}

/***
Acquire its lock.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Condition the condition itself; or `false, "timeout"`
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = condition:acquire() -- until the end of the scope
*/
static int condition_acquire(lua_State *L) {
  conc_condition *c = check(L);
  if (lua_gettop(L) == 1 &&
      conc_condition_acquire(c, lc_self(L), CONC_NOW) == APR_SUCCESS)
    return 1;
  return acquire_slowly(L, c);
}

static int release(lua_State *L, conc_condition *c) {
  if (conc_condition_release(c, lc_self(L)) == APR_SUCCESS)
    return 0;
  return luaL_error(L, "cannot release a lock that %s",
                    conc_condition_locked(c) ? "another thread holds"
                                             : "is not held");
}

/***
Release its lock.
@function release
@raise when the lock would
*/
static int condition_release(lua_State *L) {
  conc_condition *c = check(L);
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
  conc_condition *c = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_condition_locked(c));
  return 1;
}

/* Waiting. */

static int not_held(lua_State *L, const char *verb) {
  return luaL_error(L, "cannot %s on an un-acquired lock", verb);
}

static apr_status_t await(lua_State *L, conc_condition *c, conc_time deadline) {
  apr_status_t st;
  do
    st = conc_condition_wait(c, lc_self(L), deadline);
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
  conc_condition *c = check(L);
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
  conc_condition *c = check(L);
  lc_nomore(L, 3);
  lc_function(L, 2, "predicate");
  conc_time deadline = lc_deadline(L, 3, "timeout");
  apr_status_t st = APR_SUCCESS;
  if (!conc_condition_owned(c, lc_self(L)))
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

static int notify(lua_State *L, conc_condition *c, size_t n) {
  if (conc_condition_notify(c, n, lc_self(L)) != APR_SUCCESS)
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
  conc_condition *c = check(L);
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
  conc_condition *c = check(L);
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

/* The Lock or RLock at 'arg', or NULL when it is nil; raises. */
static conc_obj *opt_lock(lua_State *L, int arg) {
  conc_obj *o = lc_test(L, arg, &conc_rlock_class);
  if (o == NULL)
    o = lc_test(L, arg, &conc_lock_class);
  if (o == NULL && !lua_isnoneornil(L, arg))
    lc_argerror(L, arg, "lock", "Lock or RLock expected, got %s",
                lc_nameof(L, arg));
  return o;
}

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
  conc_obj *lock = opt_lock(L, 1);
  lc_box *box = lc_newbox(L, &conc_condition_class);
  conc_condition *c;
  apr_status_t st = conc_condition_new(&c, lock);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = (conc_obj *)c;
  return 1;
}
