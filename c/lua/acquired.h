#ifndef LC_ACQUIRED_H
#define LC_ACQUIRED_H

/* What 'acquire' has in common for everything that can be acquired. */

#include "lua/lc.h"
#include "lua/state.h"

/* Return the one value on the stack, which is to be released or closed. */
static inline int lc_granted(lua_State *L) {
  lc_get(L)->grace = LC_GRACE;
  return 1;
}

/*
 * Return the object at 1 itself, so that "local held <close> = x:acquire()"
 * releases it at the end of the scope, and "abandoned" if a process died that
 * had it; or false, "timeout"; or raise.
 */
static inline int lc_acquired(lua_State *L, apr_status_t st) {
  if (st != APR_SUCCESS && st != CONC_ABANDONED)
    return lc_truth(L, st);
  lua_settop(L, 1);
  (void)lc_granted(L);
  if (st == APR_SUCCESS)
    return 1;
  lua_pushliteral(L, "abandoned");
  return 2;
}

/* The method: wait for the object 'o' at 1, as long as the argument 2 says. */
static inline int lc_acquire(lua_State *L, conc_obj *o,
                             apr_status_t (*acquire)(conc_obj *o,
                                                     conc_parker *self,
                                                     conc_time deadline)) {
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = acquire(o, lc_self(L), deadline);
  while (lc_again(L, st));
  if (st == CONC_MISUSE)
    return lc_error(L, "cannot acquire an RLock that often");
  return lc_acquired(L, st);
}

/*
 * The object at 1, which is of one of two kinds of one type: what lives in
 * this process, or in shared memory.
 */
static inline conc_obj *lc_check_kind(lua_State *L, const conc_class *local,
                                      const conc_class *shared) {
  conc_obj *o = lc_testany(L, 1);
  if (o == NULL || (o->cls != local && o->cls != shared))
    lc_typeerror(L, 1, local);
  return o;
}

/*
 * The Lock or RLock at 'arg', in shared memory or not, or NULL when it is nil
 * and 'or' is not needed.  Raises, saying what else is expected.
 */
conc_obj *lc_optlock(lua_State *L, int arg, bool shared, const char * or);

#endif
