/***
A lock that its holder may acquire again; it is free when it was released as
often.

It belongs to the thread that acquired it, in whichever of its coroutines, and
only that thread may release it.
@classmod RLock
*/

#include "core/rlock.h"

#include "lua/acquired.h"
#include "lua/types.h"

static conc_rlock *check(lua_State *L) {
  return lc_check(L, 1, &conc_rlock_class);
}

static int acquire_slowly(lua_State *L, conc_rlock *l) {
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = conc_rlock_acquire(l, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st == CONC_MISUSE)
    return luaL_error(L, "cannot acquire an RLock that often");
  return lc_acquired(L, st);
}

/***
Wait until the lock is free, and hold it; or hold it one level deeper, at once,
if this thread does already.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn RLock the lock itself; or `false, "timeout"`
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = rlock:acquire() -- until the end of the scope
*/
static int rlock_acquire(lua_State *L) {
  conc_rlock *l = check(L);
  if (lua_gettop(L) == 1 &&
      conc_rlock_acquire(l, lc_self(L), CONC_NOW) == APR_SUCCESS)
    return 1;
  return acquire_slowly(L, l);
}

static int release(lua_State *L, conc_rlock *l) {
  if (conc_rlock_release(l, lc_self(L)) == APR_SUCCESS)
    return 0;
  return luaL_error(L, conc_rlock_locked(l)
                         ? "cannot release an RLock that another thread holds"
                         : "cannot release an RLock that is not held");
}

/***
Give one level back; with the last the lock is free.
@function release
@raise unless this thread holds it
*/
static int rlock_release(lua_State *L) {
  conc_rlock *l = check(L);
  lc_nomore(L, 1);
  return release(L, l);
}

static int rlock_close(lua_State *L) { return release(L, check(L)); }

/***
Does any thread hold it?
@function locked
@treturn boolean
*/
static int rlock_locked(lua_State *L) {
  conc_rlock *l = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_rlock_locked(l));
  return 1;
}

static const luaL_Reg methods[] = {{"acquire", rlock_acquire},
                                   {"release", rlock_release},
                                   {"locked", rlock_locked},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", rlock_close}, {NULL, NULL}};

const lc_type lc_rlock_type = {
  .cls = &conc_rlock_class, .methods = methods, .metamethods = metamethods};

/***
Make a lock, which is free.
@function RLock
*/
int lc_rlock(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_rlock_class);
  conc_rlock *l;
  apr_status_t st = conc_rlock_new(&l);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &l->obj;
  return 1;
}
