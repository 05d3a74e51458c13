#ifndef LC_UPDATE_H
#define LC_UPDATE_H

/*
 * Updates by a function: read, call it, write if nobody has written meanwhile,
 * else again.  A function that writes the same place would be called again for
 * ever, so each state watches the places of its updates, and every binding
 * that writes to a place says so.
 *
 * The watches are a stack of fixed size.  A function that raises leaves its watch
 * behind, since nothing tells us.  The next update drops it: one that still runs
 * lies further up on the C stack (it grows downwards wherever Lua runs).  What is
 * watched is compared and never followed.
 */

#include "lua/lc.h"

enum { LC_WATCHES = 16 };

typedef struct lc_watch {
  const void *place;
  uint64_t key;    /* of a Dict's entry: its hash */
  uintptr_t frame; /* where its lc_update is */
  bool hit;        /* this state has written there since */
} lc_watch;

typedef struct lc_watches {
  unsigned depth; /* updates that run, and watches left behind */
  lc_watch list[LC_WATCHES];
} lc_watches;

/* An update that calls its function; on the C stack of the binding. */
typedef struct lc_update {
  unsigned depth;
} lc_update;

/* Before and after the call.  True: it has written there itself. */
void lc_update_begin(lua_State *L, lc_update *u, const void *place,
                     uint64_t key);
bool lc_update_end(lc_state *S, const lc_update *u);

/* Raise what such a function is told; it was the argument 'arg'. */
int lc_update_own(lua_State *L, int arg);

/* Tell of a write, if lc_updating (state.h): to the bytes at 'place', or to an
   entry of a Dict. */
void lc_wrote(lc_state *S, const void *place, size_t size);
void lc_wrote_key(lc_state *S, const void *dict, uint64_t key);

#endif
