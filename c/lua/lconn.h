#ifndef LC_CONN_H
#define LC_CONN_H

/* What connections over sockets (lconn.c) and pipes (lpipe.c) share. */

#include "core/cells.h"
#include "lua/lc.h"

/* As string.sub with arguments first and first + 1: the first byte, from 0, and
   how many. */
size_t lc_range(lua_State *L, int first, size_t len, size_t *from);

/* The Array at 'arg', of either kind, to receive into; its bytes. */
conc_cells *lc_target(lua_State *L, int arg, size_t *room);

/* Copy into it; bytes of others are left alone. */
void lc_copy_in(conc_cells *a, size_t offset, const unsigned char *data,
                size_t size);

/* Raise BufferTooShort, with the whole message in its field 'bytes'. */
int lc_too_short(lua_State *L, const unsigned char *data, size_t size);

#endif
