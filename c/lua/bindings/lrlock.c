/***
A lock that its holder may acquire again; it is free when it was released as
often.

It belongs to the thread that acquired it, in whichever of its coroutines, and
only that thread may release it.
@classmod RLock
*/

#include "core/rlock.h"

#include "core/lock.h"
#include "ipc/srlock.h"
#include "lua/acquired.h"
#include "lua/types.h"

/* ---- Of this process, or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  return lc_check_kind(L, &conc_rlock_class, &conc_srlock_class.cls);
}

static inline bool is_local(const conc_obj *o) {
  return o->cls == &conc_rlock_class;
}

static apr_status_t acquire(conc_obj *l, conc_parker *self,
                            conc_time deadline) {
  return is_local(l) ? conc_rlock_acquire((conc_rlock *)l, self, deadline)
                     : conc_srlock_acquire((conc_srlock *)l, self, deadline);
}

static bool locked(const conc_obj *l) {
  return is_local(l) ? conc_rlock_locked((const conc_rlock *)l)
                     : conc_srlock_locked((const conc_srlock *)l);
}

/* ---- Methods ---- */

/***
Wait until the lock is free, and hold it; or hold it one level deeper, at once,
if this thread does already.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn RLock the lock itself; or `false, "timeout"`. A lock of
`conc.multiprocessing` whose holder's process has died comes with the word
"abandoned", once
@raise when the wait is cancelled or interrupted; the lock is not held then
@usage local held <close> = rlock:acquire() -- until the end of the scope
*/
static int rlock_acquire(lua_State *L) {
  conc_obj *l = check(L);
  if (lua_gettop(L) == 1) {
    apr_status_t st = acquire(l, lc_self(L), CONC_NOW);
    if (st == APR_SUCCESS || st == CONC_ABANDONED)
      return lc_acquired(L, st);
  }
  return lc_acquire(L, l, acquire);
}

static int release(lua_State *L, conc_obj *l) {
  conc_parker *self = lc_self(L);
  apr_status_t st = is_local(l) ? conc_rlock_release((conc_rlock *)l, self)
                                : conc_srlock_release((conc_srlock *)l, self);
  if (st == APR_SUCCESS)
    return 0;
  return lc_error(L, locked(l)
                       ? "cannot release an RLock that another thread holds"
                       : "cannot release an RLock that is not held");
}

/***
Give one level back; with the last the lock is free.
@function release
@raise unless this thread holds it
*/
static int rlock_release(lua_State *L) {
  conc_obj *l = check(L);
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
  conc_obj *l = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, locked(l));
  return 1;
}

static const luaL_Reg methods[] = {{"acquire", rlock_acquire},
                                   {"release", rlock_release},
                                   {"locked", rlock_locked},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", rlock_close}, {NULL, NULL}};

const lc_type lc_rlock_type = {
  .cls = &conc_rlock_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_srlock_type = {.cls = &conc_srlock_class.cls,
                                .methods = methods,
                                .metamethods = metamethods};

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

/* RLock() of conc.multiprocessing */
int lc_srlock(lua_State *L) {
  static const char *const names[] = {NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &conc_srlock_class.cls);
  conc_srlock *l;
  apr_status_t st = conc_srlock_new(&l);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &l->proxy.obj;
  return 1;
}

conc_obj *lc_optlock(lua_State *L, int arg, bool shared, const char * or) {
  static const conc_class *const locks[2][2] = {
    {&conc_rlock_class, &conc_lock_class},
    {&conc_srlock_class.cls, &conc_slock_class.cls}};
  for (int i = 0; i < 2; i++) {
    conc_obj *o = lc_test(L, arg, locks[shared][i]);
    if (o != NULL)
      return o;
  }
  if (lua_isnoneornil(L, arg))
    return NULL;
  bool other = lc_test(L, arg, locks[!shared][0]) != NULL ||
               lc_test(L, arg, locks[!shared][1]) != NULL;
  const char *module = shared ? "multiprocessing" : "threading";
  lc_argerror(L, arg, "lock", "%sLock or RLock%s%s expected, got %s%s", or,
              other ? " of conc." : "", other ? module : "", lc_nameof(L, arg),
              other ? " of another module" : "");
  return NULL;
}
