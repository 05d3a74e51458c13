#ifndef LC_FAILURE_H
#define LC_FAILURE_H

/*
 * How a failed future carries its error.  Its message is three values:
 *
 *   the error value as text, or nil when that value is a string;
 *   the traceback, "" when there is none;
 *   the error value.
 *
 * So the text can be told without a Lua state.  An empty message stands for a
 * promise that was dropped.
 */

#include "core/future.h"
#include "lua/lc.h"

/*
 * Pack the error value at 'idx' and the traceback (or nil) on the top, which is
 * popped, into *m.  Never raises: what cannot travel or has no memory to is told
 * by less and less.
 */
void lc_pack_failure(lua_State *L, int idx, conc_msg *m);

/* The same for the error that lc_fail makes of a status. */
void lc_pack_status(lua_State *L, apr_status_t st, conc_msg *m);

/* Push the text, or an error value that says why not.  Never raises. */
void lc_push_text(lua_State *L, const char *text);

/* Push error value and traceback of a failure, which stays as it is. */
void lc_push_failure(lua_State *L, conc_msg *why);

/* Push the error value of a future that failed or was cancelled. */
void lc_push_error_of(lua_State *L, conc_future *f);

/* Write a failure on stderr: "conc: what: why". */
void lc_tell(const char *what, conc_msg *why);

/* For conc_future_forgotten. */
void lc_forgotten(conc_msg *why);

#endif
