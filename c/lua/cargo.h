#ifndef LC_CARGO_H
#define LC_CARGO_H

/* Values through rings in shared memory (ipc/ring.h): queues and pipes. */

#include "ipc/cargo.h"
#include "lua/lc.h"

/*
 * Put the value at 'idx', which errors call 'name', waiting until 'deadline'.
 * Raises what cannot travel, and as lc_again does; otherwise what
 * conc_ring_push says.  In a function that lc_setfuncs registered.
 */
apr_status_t lc_cargo_send(lua_State *L, conc_ring *r, int idx,
                           const char *name, conc_time deadline);

/* The same for bytes. */
apr_status_t lc_cargo_send_bytes(lua_State *L, conc_ring *r, const char *s,
                                 size_t len);

/* Values, and bytes; see conc_ring_pop_tagged. */
enum {
  LC_CARGO_VALUES = 1 << CONC_CARGO_PLAIN | 1 << CONC_CARGO_WIRE,
  LC_CARGO_BYTES = 1 << CONC_CARGO_BYTES
};

/* Take the next item; raises as lc_again does. */
apr_status_t lc_cargo_take(lua_State *L, conc_ring *r, conc_item *item,
                           uint32_t tags, conc_time deadline);

/* Push the value in an item that is PLAIN or WIRE, which is done with; raises.
   Always 1. */
int lc_cargo_push(lua_State *L, conc_item *item);

/* Push the bytes in an item, the same way. */
int lc_cargo_push_bytes(lua_State *L, conc_item *item);

/* lc_outcome, also for what rings say. */
int lc_cargo_outcome(lua_State *L, apr_status_t st);

#endif
