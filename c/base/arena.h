#ifndef CONC_ARENA_H
#define CONC_ARENA_H

/*
 * The memory of a worker's Lua state.  One thread at a time uses it, as it does
 * the state, so nothing is locked; and what is small is given back to the
 * system when the state has been closed, all at once.
 *
 * malloc and free are a third of what it takes to make and close a state.
 */

#include <stddef.h>

typedef struct conc_arena conc_arena;

/* NULL: there is no memory. */
conc_arena *conc_arena_new(void);

/* With all small blocks; large ones have to be free. */
void conc_arena_free(conc_arena *a);

/*
 * A lua_Alloc: 'arena' is a conc_arena; the block p of 'old' bytes becomes one
 * of 'size' bytes, which is returned; size 0 frees it, and p NULL makes a new
 * one.  NULL: there is no memory, and p is as it was.
 */
void *conc_arena_alloc(void *arena, void *p, size_t old, size_t size);

#endif
