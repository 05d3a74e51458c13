#ifndef LC_ACQUIRED_H
#define LC_ACQUIRED_H

/* What 'acquire' has in common for everything that can be acquired. */

#include "lua/lc.h"

/*
 * Return the object at 1 itself, so that "local held <close> = x:acquire()"
 * releases it at the end of the scope; or false, "timeout"; or raise.
 */
static inline int lc_acquired(lua_State *L, apr_status_t st) {
  if (st != APR_SUCCESS)
    return lc_truth(L, st);
  lua_settop(L, 1);
  return 1;
}

#endif
