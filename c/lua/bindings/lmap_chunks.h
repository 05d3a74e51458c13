#ifndef LC_MAP_CHUNKS_H
#define LC_MAP_CHUNKS_H

/* The chunks of a map that are on their way. */

#include "core/watch.h"
#include "lua/lc.h"

typedef struct lc_chunk {
  conc_future *future;     /* a reference; NULL: this place is free */
  lua_Integer count, base; /* its items, and how many come before them */
} lc_chunk;

/*
 * In the order of the input, 'list' is a ring that begins with the oldest.
 * Unordered, chunks are where there was a free place, and a watch tells the
 * places of those that are done.  Zeros: none, in order.
 */
typedef struct lc_chunks {
  lc_chunk *list;
  size_t first, n, room;
  conc_watch *watch; /* a reference, or NULL: in order */
  lua_Integer items; /* in all of them */
} lc_chunks;

/* Cancel what has not started and forget the rest; zeros are left. */
void lc_chunks_fini(lc_chunks *c);

/* Room for three chunks more; raises. */
void lc_chunks_reserve(lua_State *L, lc_chunks *c);

/* After a reserve: put a chunk, with its reference, behind all others, or before
   them. */
void lc_chunks_put(lc_chunks *c, const lc_chunk *one, bool before);

/* Take the chunk out of its place, and its reference with it. */
lc_chunk lc_chunks_take(lc_chunks *c, size_t place);

/*
 * Wait until the next chunk to give, of some, is done: APR_SUCCESS and its place,
 * or SIZE_MAX: look again; APR_TIMEUP; raises.  Callbacks run meanwhile, which may
 * use these chunks or finish them: a watch is to be kept alive by the caller.
 */
apr_status_t lc_chunks_await(lua_State *L, lc_chunks *c, conc_time deadline,
                             size_t *place);

/* Cancel a chunk and what it was split into. */
void lc_chunk_abandon(conc_future *f);

#endif
