#ifndef LLOCAL_H
#define LLOCAL_H

#include "lua/lc.h"

typedef struct lc_life lc_life;

/* Which Locals have fields in the registry (llocal.c); of the state's thread. */
typedef struct lc_locals {
  lc_life **list; /* a reference of each */
  uint32_t n, room;
  uint32_t enough; /* look for those that are gone when there are so many */
} lc_locals;

/* The Local at 'idx' is about to be known to others: its fields stay here. */
void lc_local_leaves(lua_State *L, lc_state *S, int idx);

void lc_locals_close(lc_locals *all);

#endif
