/***
A lock: one thread holds it at a time.

It has no owner: any thread may release it, and a thread that acquires it twice
waits for itself; see `RLock`. A thread that comes at the right moment may
overtake those who wait, but none waits much longer than its turn: after about a
millisecond the lock is handed to the one who has waited longest.

A lock may travel to other threads of the process, in arguments, queues and
upvalues; it is the same lock there.
@classmod Lock
*/

#include "core/lock.h"

#include "lua/acquired.h"
#include "lua/types.h"

static conc_lock *check(lua_State *L) {
  return lc_check(L, 1, &conc_lock_class);
}

static int acquire_slowly(lua_State *L, conc_lock *l) {
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = conc_lock_acquire(l, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_acquired(L, st);
}

/***
Wait until the lock is free, and hold it.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Lock the lock itself; or `false, "timeout"`
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = lock:acquire() -- until the end of the scope
*/
static int lock_acquire(lua_State *L) {
  conc_lock *l = check(L);
  if (lua_gettop(L) == 1 && conc_latch_try(&l->latch))
    return 1;
  return acquire_slowly(L, l);
}

static int release(lua_State *L, conc_lock *l) {
  if (conc_lock_release(l) != APR_SUCCESS)
    return luaL_error(L, "cannot release a lock that is not held");
  return 0;
}

/***
Free the lock. Any thread may do so.
@function release
@raise when the lock is free; it stays so
*/
static int lock_release(lua_State *L) {
  conc_lock *l = check(L);
  lc_nomore(L, 1);
  return release(L, l);
}

static int lock_close(lua_State *L) { return release(L, check(L)); }

/***
Does anybody hold it?
@function locked
@treturn boolean
*/
static int lock_locked(lua_State *L) {
  conc_lock *l = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, conc_lock_locked(l));
  return 1;
}

static const luaL_Reg methods[] = {{"acquire", lock_acquire},
                                   {"release", lock_release},
                                   {"locked", lock_locked},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", lock_close}, {NULL, NULL}};

const lc_type lc_lock_type = {
  .cls = &conc_lock_class, .methods = methods, .metamethods = metamethods};

/***
Make a lock, which is free.
@function Lock
*/
int lc_lock(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_lock_class);
  conc_lock *l;
  apr_status_t st = conc_lock_new(&l);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &l->obj;
  return 1;
}
