#ifndef LC_NAMES_H
#define LC_NAMES_H

/*
 * What a state knows of its own values, so that they travel by name or once:
 * a table, weak in its keys, from a function, table or userdata to
 *
 *   a string       its name: module [NUL field [NUL field]], or, of a method of
 *                  conc's objects, NUL class NUL method
 *   a blob's box   its code, or the class blob that defines it
 *
 * A class has its id in a second table.
 */

#include "core/blob.h"
#include "lua/state.h"

/* Push the table of known values. */
void lc_pushknown(lua_State *L);

/*
 * Could the table at this address be known?  False is certain.  Spares plain
 * data the look-up.
 */
bool lc_mayknow(const lc_state *S, const void *p);

/*
 * Look through package.loaded again if a module came or went since; true when
 * it did.  What a module holds, in its table or one table below, is known by
 * name; what several hold, by the standard library's.
 */
bool lc_refresh_names(lua_State *L, lc_state *S);

/*
 * A number that (very likely) changes when a key or a table, function or
 * string of the table at 'idx' does.
 */
uint64_t lc_fingerprint(lua_State *L, int idx);

/*
 * Push the value with that name, requiring its module; raises when there is
 * none.
 */
void lc_pushnamed(lua_State *L, const char *name, size_t len);

/* Know the C function at 'idx' by name if it is a method of conc's objects. */
bool lc_know_method(lua_State *L, int idx);

/* Is the value at 'idx' (still) what that name means here? */
bool lc_isnamed(lua_State *L, int idx, const char *name, size_t len);

/* Make the value at 'idx' known as the code or class of 'blob' (retained). */
void lc_know_blob(lua_State *L, int idx, conc_blob *blob);

/* The class ids: push or set that of the table at 'idx'; by id: the table. */
uint64_t lc_class_id(lua_State *L, int idx);
void lc_set_class_id(lua_State *L, int idx, uint64_t id);
bool lc_push_class(lua_State *L, uint64_t id);

/* Code that was loaded here: push the function of that blob id, or false. */
bool lc_push_code(lua_State *L, lc_state *S, uint64_t id);
void lc_keep_code(lua_State *L, int idx, uint64_t id);

/* conc.register(name, metatable) */
int lc_register(lua_State *L);
/* Push the name the metatable at 'idx' is registered under, or nil. */
void lc_pushregistered_name(lua_State *L, int idx);
/* Push the metatable registered under a name; raises. */
void lc_pushregistered(lua_State *L, const char *name, size_t len);

#endif
