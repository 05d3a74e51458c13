#ifndef LARRAY_TEXT_H
#define LARRAY_TEXT_H

/* An array of characters as a string: its fields value and raw. */

#include "lua/bindings/lcell.h"

/* Is the key at 2 such a field of the array? */
bool larray_is_text(lua_State *L, const conc_cells *c);

/* a.raw: all bytes; a.value: those before the first zero. */
int larray_push_text(lua_State *L, conc_cells *c);

/* The string at 3 from the first element on; a.value = s writes a zero behind
   it, if there is room. */
int larray_set_text(lua_State *L, conc_cells *c);

#endif
