#ifndef LC_MAP_H
#define LC_MAP_H

/*
 * Items of a map travel in chunks: one message, one future and one wake-up for
 * many.  A chunk's task is
 *
 *   function, flags (integer), item 1, item 2 ...
 *
 * A chunk should take about a millisecond.  A worker that is at it for longer
 * ends it where it is, and makes the rest two new chunks, which come first in
 * the executor's list.  So the result of a chunk is
 *
 *   a table of single results by position;
 *   nil, or a table of what was not a single result: position ->
 *     {n = count, values} or, of an error, {error = value};
 *   how many items were done; nanoseconds they took;
 *   for each of the new chunks, if any: its future, how many items it has.
 */

#include "lua/bindings/lexecutor.h"
#include "lua/piece.h"

enum { LC_MAP_STAR = 1, LC_MAP_SPLIT = 2 };

/* About what a chunk should take: ns.  Its items at most. */
enum { LC_MAP_BATCH = 1000000, LC_MAP_MOST = 500000 };

/*
 * How a chunk that is done for another process gets on: the item that it is at
 * is told before it begins, as in conc_lane_rings.at, and what was done is sent
 * when it has taken about a millisecond.  So a death takes little with it.
 */
typedef struct lc_stream {
  const conc_future *task;
  lc_items range;
  _Atomic uint64_t *at;
  /* Send the results of these items, which stay the caller's. */
  apr_status_t (*send)(struct lc_stream *s, conc_msg *results, lc_items items);
} lc_stream;

/*
 * Push a new future whose task is the chunk on the stack (function, flags,
 * items) from 'at' on, in place of that; raises.
 */
conc_future *lc_map_push_chunk(lua_State *L, lc_state *S, conc_pool *p, int at);

/*
 * Push the results of a chunk that has finished, its odd ones or nil, and then
 * future and count of each chunk that does the rest, in order.  Returns how many
 * items it did itself; they took *ns.
 */
lua_Integer lc_chunk_results(lua_State *L, conc_future *f, lua_Integer *ns);

#endif
