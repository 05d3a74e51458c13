#ifndef LC_WIRE_H
#define LC_WIRE_H

/* Values as bytes for other processes (ipc/wire.h). */

#include "ipc/wire.h"
#include "lua/lc.h"

/*
 * Push a userdata that frees its contents, and fill it with the message as
 * bytes; raises, calling the message 'name'.  *m stays.
 */
conc_wire *lc_pushwire(lua_State *L, conc_msg *m, const char *name);

/* Raise for a conc_wire_encode that failed so. */
int lc_wire_fail(lua_State *L, apr_status_t st, const conc_class *what,
                 const char *name);

/* An empty one. */
conc_wire *lc_newwire(lua_State *L);

/* Pack the values at first..last and push them as bytes. */
conc_wire *lc_pack_wire(lua_State *L, int first, int last, const char *name);

/*
 * Push the values in *w, which stays, and return how many.  'trusted': they
 * come from a process of this family, and may hold code.
 */
int lc_unpack_wire(lua_State *L, const conc_wire *w, bool trusted);

#endif
