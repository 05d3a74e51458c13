#ifndef LTHREAD_H
#define LTHREAD_H

/* What the files of Thread share. */

#include "core/thread.h"
#include "lua/lc.h"

/* Push its name. */
void lthread_push_name(lua_State *L, conc_thread *t);

/* The error value on the top ended the thread: tell the excepthook. */
void lthread_uncaught(lua_State *L, conc_thread *t);

/*
 * The argument stack_size at 'idx', rounded up to what Lua needs; nil: what
 * threading.stack_size said; raises.
 */
size_t lthread_stack(lua_State *L, const lc_state *S, int idx);

#endif
