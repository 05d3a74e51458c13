/*
 * Metatables and classes.
 *
 * A class, a table that is somebody's metatable or has an __index field, is
 * packed once into a blob.  The classes met on the way (its bases, say) are
 * defined in the same blob, so blobs never refer to each other in a circle.
 */

#include "lua/walk.h"

#include "core/blob.h"
#include "lua/names.h"

/* Inside a class blob, the table on the top is a class too: give it an id. */
static void define_class(lua_State *L, lc_packer *pk) {
  uint64_t id = lc_class_id(L, -1);
  if (id == 0) {
    id = conc_blob_fresh_id();
    lc_set_class_id(L, -1, id);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, pk->classes, (lua_Integer)lua_rawlen(L, pk->classes) + 1);
  lc_write_byte(pk, LC_DEF);
  lc_write_varint(pk, id);
}

/* The table on the top has the metatable above it: begin both. */
static void begin_meta(lua_State *L, lc_packer *pk, const void *key) {
  lua_insert(L, -2); /* ... metatable, table */
  lc_frame *f = lc_write_open(L, pk, LC_META, lua_gettop(L) - 1);
  if (f == NULL)
    return;
  f->stage = LC_META_VALUE;
  pk->plain = false;
  lc_write_byte(pk, LC_META);
  lc_walk_begin_table(L, pk, key);
}

void lc_walk_new_table(lua_State *L, lc_packer *pk, const void *key,
                       bool is_class) {
  lc_walk_anchor(L, pk, -1);
  if (!lua_getmetatable(L, -1)) {
    if (is_class)
      define_class(L, pk);
    lc_walk_begin_table(L, pk, key);
  } else if (lc_walk_has(L, -1, "__conc_pack")) {
    lua_pop(L, 1);
    lc_walk_packed(L, pk);
  } else {
    if (is_class) {
      lua_insert(L, -2);
      define_class(L, pk);
      lua_insert(L, -2);
    }
    begin_meta(L, pk, key);
  }
}

/* ---- Class blobs ---- */

/* Write the class at 'cls' and the classes it needs; again at a restart. */
static void write_class(lua_State *L, lc_packer *pk, int cls) {
  int top = lua_gettop(L);
  do {
    lua_settop(L, top);
    lc_write_begin(pk);
    lua_newtable(L);
    pk->classes = top + 1;
    lc_write_byte(pk, LC_VERSION);
    lua_pushvalue(L, cls);
    lc_walk_new_table(L, pk, lua_topointer(L, -1), true);
    lc_walk_drain(L, pk);
    pk->plain = false;
    lc_walk_flags(pk);
  } while (pk->again != LC_NO);
}

/* Know every class that was defined in the blob. */
static void know_classes(lua_State *L, const lc_packer *pk, conc_blob *b) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, pk->classes);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, pk->classes, i);
    lc_know_blob(L, -1, b);
    lua_pop(L, 1);
  }
}

/* Pack the class on the top into a blob of its own; NULL: pk has failed. */
static conc_blob *class_blob(lua_State *L, lc_packer *outer) {
  int cls = lua_gettop(L);
  if (outer->anchors == 0) { /* a class may hold objects with __conc_pack */
    lc_walk_restart(outer, LC_USER_CODE);
    return NULL;
  }
  lc_packer *pk = lc_push_packer(L, outer);
  write_class(L, pk, cls);
  outer->ran = outer->ran || pk->ran;
  if (pk->failed) {
    outer->nomem = pk->nomem;
    lc_walk_fail(L, outer, "(class)%s", pk->error);
    lua_settop(L, cls);
    return NULL;
  }
  conc_msg m = {0};
  conc_blob *b = NULL;
  lc_box *box = lc_newbox(L, &conc_blob_class);
  if (lc_write_end(pk, &m) != APR_SUCCESS ||
      conc_blob_new(&b, CONC_BLOB_CLASS, &m) != APR_SUCCESS) {
    conc_msg_fini(&m);
    lc_write_nomem(outer);
    return NULL;
  }
  box->obj = &b->obj;
  know_classes(L, pk, b);
  lua_settop(L, cls);
  return b;
}

/* ---- Metatables ---- */

/* A class nobody knows yet is on the top. */
static void new_class(lua_State *L, lc_packer *pk) {
  conc_blob *b = class_blob(L, pk);
  if (b == NULL)
    return;
  lc_walk_blob(pk, LC_CLASS, b);
  lc_write_varint(pk, lc_class_id(L, -1));
  lua_pop(L, 1);
}

/* The metatable on the top. */
static void metatable(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  lc_pushregistered_name(L, -1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    lc_walk_name(pk, LC_REGISTERED, name, len);
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  if (lc_walk_seen(L, pk, lua_topointer(L, -1)) ||
      lc_walk_known(L, pk, &code) || lc_walk_stale(L, pk))
    return;
  if (lc_walk_has(L, -1, "__gc") || lc_walk_has(L, -1, "__close"))
    lc_walk_fail(
      L, pk, "%s",
      "cannot send an object with __gc or __close but no __conc_pack");
  else if (pk->classes != 0)
    lc_walk_new_table(L, pk, lua_topointer(L, -1), true);
  else
    new_class(L, pk);
}

void lc_walk_step_meta(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->stage == LC_META_VALUE) {
    f->stage = LC_ITEMS;
    metatable(L, pk);
  } else {
    pk->nframes--;
  }
}

void lc_walk_turn_class(lua_State *L, lc_packer *pk, int slot) {
  lua_pushvalue(L, slot);
  if (class_blob(L, pk) != NULL)
    lc_walk_restart(pk, LC_NEW_CLASS);
}
