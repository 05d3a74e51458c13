#ifndef LC_CALLBACK_H
#define LC_CALLBACK_H

/*
 * Functions that a state wants called when a future is done.  They run in that
 * state: at once when the future is done, else when the state next enters conc
 * or while it waits there; in the order of adding, each once.  Their errors
 * are told on stderr and go no further.
 */

#include "core/future.h"
#include "lua/lc.h"

/* Call the function on the top (which is popped) with the future whose
   userdata is at 'idx', when it is done. */
void lc_add_callback(lua_State *L, int idx, conc_future *f);

/* Call now what waits for f, which is done. */
void lc_run_callbacks(lua_State *L, conc_future *f);

/* The same; never raises. */
void lc_done_callbacks(lua_State *L, conc_future *f);

/* Call what waits for futures that were done meanwhile; never raises. */
void lc_attend(lua_State *L, lc_state *S);

/* Is there anything of that kind to do now, when conc is only entered? */
bool lc_has_news(const lc_state *S);

#endif
