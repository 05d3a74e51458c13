#ifndef LC_PRIORITY_H
#define LC_PRIORITY_H

/* Priorities of a PriorityQueue as Lua has them: numbers and strings. */

#include "core/priority.h"
#include "lua/lc.h"

/* Make *p of the number or string at 'idx'; a string is copied.  APR_ENOMEM. */
apr_status_t lc_make_priority(lua_State *L, int idx, conc_priority *p);
/* Push what *p is, which frees it; false: there was no memory, and an error
   value was pushed. */
bool lc_push_priority(lua_State *L, conc_priority *p);

#endif
