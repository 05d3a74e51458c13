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

#include "ipc/slock.h"
#include "lua/acquired.h"
#include "lua/types.h"

/* ---- Of this process, or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  return lc_check_kind(L, &conc_lock_class, &conc_slock_class.cls);
}

static inline bool is_local(const conc_obj *o) {
  return o->cls == &conc_lock_class;
}

static apr_status_t acquire(conc_obj *l, conc_parker *self,
                            conc_time deadline) {
  return is_local(l) ? conc_lock_acquire((conc_lock *)l, self, deadline)
                     : conc_slock_acquire((conc_slock *)l, self, deadline);
}

/*
 * The usual ways are a few nanoseconds long: a lock that is free is acquired,
 * one that nobody waits for is released.  Whatever else is at 1 goes the long
 * way, which tells what it is.
 */
static inline conc_obj *find(lua_State *L) {
  const lc_box *b = lc_isbox(L, 1);
  return b == NULL ? NULL : lc_content(b);
}

static inline bool quit(conc_obj *o) {
  if (o == NULL)
    return false;
  if (is_local(o))
    return conc_latch_quit(&((conc_lock *)o)->latch);
  return o->cls == &conc_slock_class.cls &&
         conc_robust_quit(&conc_slock_at((conc_slock *)o)->latch);
}

/* ---- Methods ---- */

static LC_APART int acquire_slowly(lua_State *L) {
  conc_obj *l = check(L);
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = acquire(l, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_acquired(L, st);
}

static LC_APART int acquire_shared(lua_State *L, conc_slock *l) {
  apr_status_t st = conc_slock_acquire(l, NULL, CONC_NOW);
  if (st == APR_SUCCESS)
    return lc_granted(L);
  return st == CONC_ABANDONED ? lc_acquired(L, st) : acquire_slowly(L);
}

/***
Wait until the lock is free, and hold it.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Lock the lock itself; or `false, "timeout"`. A lock of
`conc.multiprocessing` whose holder's process has died comes with the word
"abandoned", once
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = lock:acquire() -- until the end of the scope
*/
static int lock_acquire(lua_State *L) {
  conc_obj *o = lua_gettop(L) == 1 ? find(L) : NULL;
  if (o == NULL)
    return acquire_slowly(L);
  if (o->cls == &conc_slock_class.cls)
    return acquire_shared(L, (conc_slock *)o);
  if (is_local(o) && conc_latch_try(&((conc_lock *)o)->latch))
    return lc_granted(L);
  return acquire_slowly(L);
}

static LC_APART int release_slowly(lua_State *L, int most) {
  conc_obj *l = check(L);
  lc_nomore(L, most);
  apr_status_t st = is_local(l) ? conc_lock_release((conc_lock *)l)
                                : conc_slock_release((conc_slock *)l);
  if (st != APR_SUCCESS)
    return lc_error(L, "cannot release a lock that is not held");
  return 0;
}

/***
Free the lock. Any thread may do so.
@function release
@raise when the lock is free; it stays so
*/
static int lock_release(lua_State *L) {
  return lua_gettop(L) == 1 && quit(find(L)) ? 0 : release_slowly(L, 1);
}

/* (lock, error) */
static int lock_close(lua_State *L) {
  return quit(find(L)) ? 0 : release_slowly(L, 2);
}

/***
Does anybody hold it?
@function locked
@treturn boolean
*/
static int lock_locked(lua_State *L) {
  conc_obj *l = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, is_local(l) ? conc_lock_locked((conc_lock *)l)
                                 : conc_slock_locked((conc_slock *)l));
  return 1;
}

static const luaL_Reg methods[] = {{"acquire", lock_acquire},
                                   {"release", lock_release},
                                   {"locked", lock_locked},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", lock_close}, {NULL, NULL}};

const lc_type lc_lock_type = {
  .cls = &conc_lock_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_slock_type = {
  .cls = &conc_slock_class.cls, .methods = methods, .metamethods = metamethods};

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

/* Lock() of conc.multiprocessing */
int lc_slock(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_slock_class.cls);
  conc_slock *l;
  apr_status_t st = conc_slock_new(&l);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &l->proxy.obj;
  return 1;
}
