#ifndef LC_TRACE_H
#define LC_TRACE_H

/*
 * What a thread is at, as text, written where no Lua value may be made: in the
 * middle of a wait or of a running program.  L is looked at by its own thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lua/lc.h"

/*
 * Write "waits in 'get' for Queue: 0x55d0" into text[size]: the C function that
 * L runs, and the objects among its arguments.  L == NULL: "waits for work".
 */
void lc_trace_wait(lua_State *L, char *text, size_t size);

/*
 * The same with how long it has waited ("runs" if it does not), and the active
 * functions as luaL_traceback lists them.  From conc_alloc, or NULL.
 */
char *lc_trace(lua_State *L, const lc_state *S, bool waits);

#endif
