#ifndef CONC_H
#define CONC_H

/*
 * conc for programs that embed Lua.
 *
 * Nothing here is needed by a host that lets its scripts say require "conc".
 * A host that links conc statically opens it with
 *
 *   luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
 *
 * and adds the files of lua/conc to its own searchers.  All calls are made in
 * the thread that runs 'L', a state that the host made.
 */

#include <lua.h>

#if defined(_WIN32)
#define CONC_API __declspec(dllexport)
#elif defined(__GNUC__)
#define CONC_API __attribute__((visibility("default")))
#else
#define CONC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The C half of conc: what require "conc.core" loads. */
CONC_API int luaopen_conc_core(lua_State *L);

/* For conc itself: what an interpreter runs that was started as a child. */
CONC_API int luaopen_conc_child(lua_State *L);

/*
 * How long lua_close(L) waits for threads that are no daemons: seconds, or < 0
 * for as long as they take, which is the default.  What is left then is
 * cancelled, waited for a moment, and abandoned.
 */
CONC_API void conc_set_close_limit(lua_State *L, double seconds);

/*
 * Call 'opener' in every Lua state that conc makes for threads of L from now
 * on, in the thread that will run it, after the standard libraries and before
 * anything else.  An error in it becomes the thread's error.  NULL: nothing.
 */
CONC_API void conc_set_state_opener(lua_State *L, lua_CFunction opener);

#ifdef __cplusplus
}
#endif

#endif
