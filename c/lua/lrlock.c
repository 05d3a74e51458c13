#include "core/rlock.h"

#include "lua/acquired.h"
#include "lua/types.h"

static conc_rlock *check(lua_State *L) {
  return lc_check(L, 1, &conc_rlock_class);
}

/*
 * rlock:acquire([timeout]): at once when this thread holds it already, one
 * level deeper.  Returns the lock itself, or false, "timeout".
 */
static int rlock_acquire(lua_State *L) {
  conc_rlock *l = check(L);
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

static int release(lua_State *L, conc_rlock *l) {
  if (conc_rlock_release(l, lc_self(L)) == APR_SUCCESS)
    return 0;
  return luaL_error(L, conc_rlock_locked(l)
                         ? "cannot release an RLock that another thread holds"
                         : "cannot release an RLock that is not held");
}

/* rlock:release(): one level; raises unless this thread holds it. */
static int rlock_release(lua_State *L) {
  conc_rlock *l = check(L);
  lc_nomore(L, 1);
  return release(L, l);
}

static int rlock_close(lua_State *L) { return release(L, check(L)); }

/* rlock:locked() -> boolean: does any thread hold it? */
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

const lc_type lc_rlock_type = {&conc_rlock_class, methods, metamethods, NULL, 0};

/* RLock() */
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
