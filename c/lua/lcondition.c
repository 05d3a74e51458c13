#include "core/condition.h"

#include "core/lock.h"
#include "core/rlock.h"
#include "lua/acquired.h"
#include "lua/types.h"

static conc_condition *check(lua_State *L) {
  return lc_check(L, 1, &conc_condition_class);
}

/* Its lock: the methods of the lock, told of the lock. */

/*
 * condition:acquire([timeout]) acquires its lock.  Returns the condition
 * itself, or false, "timeout".
 */
static int condition_acquire(lua_State *L) {
  conc_condition *c = check(L);
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

static int release(lua_State *L, conc_condition *c) {
  if (conc_condition_release(c, lc_self(L)) == APR_SUCCESS)
    return 0;
  return luaL_error(L, "cannot release a lock that %s",
                    conc_condition_locked(c) ? "another thread holds"
                                             : "is not held");
}

/* condition:release() releases its lock; raises as that would. */
static int condition_release(lua_State *L) {
  conc_condition *c = check(L);
  lc_nomore(L, 1);
  return release(L, c);
}

static int condition_close(lua_State *L) { return release(L, check(L)); }

/* condition:locked() -> boolean: does anybody hold its lock? */
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

/*
 * condition:wait([timeout]): release the lock, however often it is held, wait
 * to be notified, take the lock back.  Returns true, or false, "timeout".
 * Raises when the lock is not held.
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

/*
 * condition:wait_for(predicate [, timeout]): wait until predicate(), which is
 * called with the lock held, returns something truthy.  Returns what it
 * returned last; followed by "timeout" when that was the end.
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

/*
 * condition:notify([n]): let the n (1) threads that have waited longest go on,
 * when they get the lock.  Raises when the lock is not held.
 */
static int condition_notify(lua_State *L) {
  conc_condition *c = check(L);
  lc_nomore(L, 2);
  lua_Integer n = lc_optinteger(L, 2, "n", 1, 0, LUA_MAXINTEGER);
  return notify(L, c, (lua_Unsigned)n < SIZE_MAX ? (size_t)n : SIZE_MAX);
}

/* condition:notify_all() */
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

const lc_type lc_condition_type = {&conc_condition_class, methods, metamethods,
                                   NULL, 0};

/* The Lock or RLock at 'arg', or NULL when it is nil; raises. */
static conc_obj *opt_lock(lua_State *L, int arg) {
  conc_obj *o = lc_test(L, arg, &conc_rlock_class);
  if (o == NULL)
    o = lc_test(L, arg, &conc_lock_class);
  if (o == NULL && !lua_isnoneornil(L, arg))
    lc_argerror(L, arg, "lock", "Lock or RLock expected, got %s",
                luaL_typename(L, arg));
  return o;
}

/* Condition([lock]): over a Lock or an RLock; by default a new RLock. */
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
