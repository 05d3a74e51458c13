#ifndef LC_ACQUIRED_H
#define LC_ACQUIRED_H

/* What 'acquire' has in common for everything that can be acquired. */

#include "lua/lc.h"

/*
 * Return the object at 1 itself, so that "local held <close> = x:acquire()"
 * releases it at the end of the scope, and "abandoned" if a process died that
 * had it; or false, "timeout"; or raise.
 */
static inline int lc_acquired(lua_State *L, apr_status_t st) {
  if (st != APR_SUCCESS && st != CONC_ABANDONED)
    return lc_truth(L, st);
  lua_settop(L, 1);
  if (st == APR_SUCCESS)
    return 1;
  lua_pushliteral(L, "abandoned");
  return 2;
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
