#ifndef LCELL_H
#define LCELL_H

/*
 * What Value and Array have in common: typecodes, the conversion between Lua
 * values and elements, the atomic operations on one element, and the lock.
 */

#include <lua.h>

#include "core/cells.h"
#include "ipc/scells.h"
#include "lua/state.h"

/* The view at 1, if 'local' is the class of arrays; raises. */
conc_cells *lcell_check_view(lua_State *L, const conc_class *local);

/*
 * The cells at 1, which are of this process's class, or in shared memory and
 * of the other one; or NULL.
 */
static inline conc_cells *lcell_test(lua_State *L, const conc_class *local,
                                     const conc_shared_class *shared) {
  const lc_box *b = lc_isbox(L, 1);
  conc_obj *o = b == NULL ? NULL : lc_content(b);
  if (o == NULL)
    return NULL;
  if (o->cls == local)
    return (conc_cells *)o;
  return o->cls == &shared->cls ? &((conc_scells *)o)->view : NULL;
}

/* The same, or a view; raises. */
static inline conc_cells *lcell_check(lua_State *L, const conc_class *local,
                                      const conc_shared_class *shared) {
  conc_cells *c = lcell_test(L, local, shared);
  return c != NULL ? c : lcell_check_view(L, local);
}

/* The typecode at 'arg'; raises. */
conc_cell_type lcell_type(lua_State *L, int arg);

/*
 * The 'lock' option at 'arg' for a new object of conf->cls: nil or true, false,
 * a Lock or RLock of the same kind, or a table with such a field 'lock';
 * raises.  The lock stays where it is on the stack.
 */
void lcell_lock_option(lua_State *L, int arg, conc_cells_conf *conf);

/* Push the new object in a box. */
conc_cells *lcell_new(lua_State *L, const conc_cells_conf *conf);

/*
 * The bits of the value at 'idx'.  False: it is no value for that type, and
 * the reason is on the top of the stack.
 */
bool lcell_convert(lua_State *L, int idx, const conc_cell_type *type,
                   uint64_t *bits);

/* The bits of the argument 'arg', which is called 'name'; raises. */
uint64_t lcell_bits(lua_State *L, int arg, const char *name,
                    const conc_cell_type *type);

/* A character as a string, in UTF-8. */
void lcell_push_char(lua_State *L, const conc_cell_type *type, uint64_t bits);

static inline void lcell_push(lua_State *L, const conc_cell_type *type,
                              uint64_t bits) {
  switch (type->kind) {
  case CONC_CELL_F32:
  case CONC_CELL_F64:
    lua_pushnumber(L, (lua_Number)conc_cell_to_double(type->kind, bits));
    break;
  case CONC_CELL_CHAR:
  case CONC_CELL_WIDE: lcell_push_char(L, type, bits); break;
  default: lua_pushinteger(L, (lua_Integer)bits);
  }
}

/* Push the element at 'p'. */
static inline void lcell_push_at(lua_State *L, const void *p,
                                 const conc_cell_type *type) {
  if (type->kind <=
      CONC_CELL_U64) /* one way for integers, without asking twice */
    lua_pushinteger(L, (lua_Integer)conc_cell_load(p, type->kind));
  else
    lcell_push(L, type, conc_cell_load(p, type->kind));
}

/*
 * Values on their way into an Array, in a userdata on the top of the stack:
 * all of them are converted before any is stored.
 */
typedef struct lcell_batch {
  size_t n;
  uint64_t bits[];
} lcell_batch;

/* Of a table, an Array, or a string of characters at 'arg'; raises. */
lcell_batch *lcell_values(lua_State *L, int arg, const conc_cell_type *type);

/* Of a string of bytes as they lie in memory. */
lcell_batch *lcell_bytes(lua_State *L, int arg, const conc_cell_type *type);

/* Elements were written by this binding. */
static inline void lcell_wrote(lua_State *L, const void *p, size_t size) {
  if (lc_updating(lc_get(L)))
    lc_wrote(lc_get(L), p, size);
}

/*
 * The operations on the element at 'p'.  Their arguments begin at 'arg' and
 * end the list of arguments; each pushes its result and returns their number.
 */
int lcell_set(lua_State *L, void *p, const conc_cell_type *type, int arg);
int lcell_add(lua_State *L, void *p, const conc_cell_type *type, int arg);
int lcell_cas(lua_State *L, void *p, const conc_cell_type *type, int arg);
int lcell_update(lua_State *L, void *p, const conc_cell_type *type, int arg);

/* Push the lock that goes with the cells at 1; raises if they have none. */
int lcell_get_lock(lua_State *L, conc_cells *c);

#endif
