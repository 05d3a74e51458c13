#ifndef LC_WALK_H
#define LC_WALK_H

/*
 * What the files of the packing walk share: walk.c (what is known, the loop),
 * walk_function.c, walk_table.c, walk_object.c (userdata and __conc_pack),
 * walk_class.c (metatables and class blobs), walk_path.c (errors).
 *
 * Each lc_walk_x for a kind of value writes the value on the top and pops it,
 * or leaves it there (and perhaps more above it) with a frame open, or fails
 * and leaves the stack as it happens to be.
 */

#include "core/blob.h"
#include "lua/lc.h"
#include "lua/pack.h"
#include "lua/writer.h"

/* Stages of a frame; PAIR: a key and its value are on the top. */
enum { LC_ITEMS, LC_PAIR, LC_PAIR_VALUE, LC_META_VALUE };

void lc_walk_value(lua_State *L, lc_packer *pk);
/* Work until every frame is closed. */
void lc_walk_drain(lua_State *L, lc_packer *pk);
/* Write the first byte, when all else is written. */
void lc_walk_flags(lc_packer *pk);

/* ---- Kinds of values, and the next step in an open one ---- */

void lc_walk_function(lua_State *L, lc_packer *pk);
void lc_walk_step_function(lua_State *L, lc_packer *pk, lc_frame *f);

void lc_walk_table(lua_State *L, lc_packer *pk);
/* Begin the table on the top as plain data; its address is 'key'. */
void lc_walk_begin_table(lua_State *L, lc_packer *pk, const void *key);
void lc_walk_step_table(lua_State *L, lc_packer *pk);

void lc_walk_userdata(lua_State *L, lc_packer *pk);
/* The object on the top has __conc_pack. */
void lc_walk_packed(lua_State *L, lc_packer *pk);
void lc_walk_step_packed(lua_State *L, lc_packer *pk, lc_frame *f);

/* Begin the table on the top, which was not met and has no name; its address. */
void lc_walk_new_table(lua_State *L, lc_packer *pk, const void *key,
                       bool is_class);
void lc_walk_step_meta(lua_State *L, lc_packer *pk, lc_frame *f);
/* The data at 'slot' turned out to be a class: know it as one, start anew. */
void lc_walk_turn_class(lua_State *L, lc_packer *pk, int slot);

/* ---- What is known ---- */

/*
 * Write the value on the top by its name or class and pop it, if it has one.
 * A function's code goes to *code instead.
 */
bool lc_walk_known(lua_State *L, lc_packer *pk, conc_blob **code);
/* The value on the top was met before: write that and pop it. */
bool lc_walk_seen(lua_State *L, lc_packer *pk, const void *key);
/* Names may be out of date: true when the packing has to start anew. */
bool lc_walk_stale(lua_State *L, lc_packer *pk);
void lc_walk_name(lc_packer *pk, unsigned tag, const char *name, size_t len);
void lc_walk_blob(lc_packer *pk, unsigned tag, conc_blob *b);
/* Has the table at 't' that field? */
bool lc_walk_has(lua_State *L, int t, const char *name);

/* ---- The course of a packing ---- */

/* The current item of the innermost frame is what fails. */
void lc_walk_fail(lua_State *L, lc_packer *pk, const char *fmt,
                  const char *what);
void lc_walk_restart(lc_packer *pk, lc_restart why);
/* Keep the value at 'idx' from being collected during careful packing. */
void lc_walk_anchor(lua_State *L, lc_packer *pk, int idx);
/* Push a packer of its own and its anchors; for code that may run Lua. */
lc_packer *lc_push_packer(lua_State *L, const lc_packer *like);

#endif
