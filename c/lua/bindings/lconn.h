#ifndef LC_CONN_H
#define LC_CONN_H

/* What connections over sockets (lconn.c) and pipes (lpipe.c) share. */

#include "lua/lc.h"

/* The bytes of the Array (of either kind) or SharedMemory at 'arg', to receive
   into. */
unsigned char *lc_target(lua_State *L, int arg, size_t *room);

/* Copy there; others may look at the same time. */
void lc_copy_in(unsigned char *to, const unsigned char *data, size_t size);

/* Raise BufferTooShort, with the whole message in its field 'bytes'. */
int lc_too_short(lua_State *L, const unsigned char *data, size_t size);

#endif
