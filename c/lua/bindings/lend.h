#ifndef LC_LEND_H
#define LC_LEND_H

/*
 * Large strings that a state lends to those who receive them (core/loan.h).
 * The state keeps each until all have received it, or until it closes; it looks
 * whether they have when it lends another one, and in each of its collections.
 */

#include "core/loan.h"
#include "lua/lc.h"

/* From this size on lending costs less than another copy. */
enum { LC_LENDABLE = 1 << 18 };

/*
 * Lend the string at 'idx'.  The reference stays the state's: retain.  Raises;
 * may run the collector.
 */
conc_loan *lc_lend(lua_State *L, int idx);

/* Push a copy of what was lent; raises. */
void lc_pushlent(lua_State *L, conc_loan *l);

#endif
