#ifndef LC_CONN_H
#define LC_CONN_H

/* What connections over sockets (lconn.c) and pipes (lpipe.c) share. */

#include "lua/lc.h"

/* As string.sub with arguments first and first + 1: the first byte, from 0, and
   how many. */
size_t lc_range(lua_State *L, int first, size_t len, size_t *from);

/* The bytes of the Array (of either kind) or SharedMemory at 'arg', to receive
   into. */
unsigned char *lc_target(lua_State *L, int arg, size_t *room);

/* Copy there; others may look at the same time. */
void lc_copy_in(unsigned char *to, const unsigned char *data, size_t size);

/* Raise BufferTooShort, with the whole message in its field 'bytes'. */
int lc_too_short(lua_State *L, const unsigned char *data, size_t size);

#endif
