#ifndef LC_WORKER_H
#define LC_WORKER_H

/*
 * The Lua states that conc makes.  A worker has the standard libraries that
 * its parent had and no more; the parent's package.path, cpath, config and
 * preload, and its global 'arg'; nothing else of its globals.  Differences:
 * os.exit raises SystemExit; one call of print or write puts out its text in
 * one piece; C modules are loaded one at a time in the whole process.
 */

#include "core/thread.h"
#include "lua/lc.h"

/* The standard libraries that a state has loaded, as a set of bits. */
unsigned lc_libraries(lua_State *L);
void *lc_libraries_arg(unsigned libraries);

/* For the crew: a bare worker with the libraries of 'arg', or NULL. */
void *lc_worker_prepare(void *arg);
void lc_worker_discard(void *worker);

/* What their memory comes from: conc_arena_alloc; a spec's may fail before. */
extern lua_Alloc lc_worker_alloc;

/* What lua_close is to a host's state: for those of lc_worker_prepare. */
void lc_worker_close(lua_State *L);

/* Their os.exit. */
int lc_worker_exit(lua_State *L);

/* One call of print or write puts out its text in one piece from now on. */
void lc_whole_lines(lua_State *L);

/*
 * What workers that this state starts begin with, in a message of its own;
 * made anew when package.path, cpath or preload changed.  The caller gets a
 * reference.
 */
conc_obj *lc_worker_env(lua_State *L);

/*
 * A worker for the thread that runs in this carrier, from the prepared one if
 * it fits; NULL when there is no memory.
 */
lua_State *lc_worker_open(conc_thread *t, void *prepared);

/* Give it what its parent's env holds; raises. */
void lc_worker_apply(lua_State *L, conc_obj *env);

#endif
