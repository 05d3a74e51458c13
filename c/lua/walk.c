/*
 * Writing values.  The walk has a stack of frames of its own and keeps each
 * open table on Lua's stack, so data may be as deep as memory allows.
 *
 * While plain data is written no Lua runs and nothing is collected, so the
 * address of a table is its identity.  What calls for more starts the packing
 * anew under other conditions:
 *
 *  - a function or class nobody knows yet, when modules were loaded since
 *    names were last looked up: now with fresh names;
 *  - a table that turns out to be a class (it has an __index field) after it
 *    was begun as data: now known as a class;
 *  - an object with __conc_pack: now with an anchor for every value met, since
 *    the user's code may let the collector run, and with a packer of its own,
 *    since that code may pack too.
 */

#include "lua/walk.h"

#include "lua/names.h"
#include "lua/state.h"

void lc_walk_restart(lc_packer *pk, lc_restart why) {
  if (pk->again == LC_NO)
    pk->again = why;
  pk->failed = true;
}

void lc_walk_anchor(lua_State *L, lc_packer *pk, int idx) {
  if (pk->anchors == 0)
    return;
  lua_pushvalue(L, idx);
  lua_rawseti(L, pk->anchors, (lua_Integer)lua_rawlen(L, pk->anchors) + 1);
}

/* ---- What is known ---- */

void lc_walk_name(lc_packer *pk, unsigned tag, const char *name, size_t len) {
  pk->plain = false;
  lc_write_byte(pk, tag);
  lc_write_varint(pk, len);
  lc_write_bytes(pk, name, len);
}

void lc_walk_blob(lc_packer *pk, unsigned tag, conc_blob *b) {
  pk->plain = false;
  lc_write_byte(pk, tag);
  lc_write_varint(pk, lc_write_reference(pk, &b->obj));
}

bool lc_walk_known(lua_State *L, lc_packer *pk, conc_blob **code) {
  bool done = false;
  lc_pushknown(L);
  lua_pushvalue(L, -2);
  int type = lua_rawget(L, -2);
  if (type == LUA_TSTRING) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    done = lc_isnamed(L, -3, name, len);
    if (done)
      lc_walk_name(pk, LC_NAME, name, len);
  } else if (type == LUA_TUSERDATA) {
    conc_blob *b = (conc_blob *)lc_test(L, -1, &conc_blob_class);
    if (b->kind == CONC_BLOB_CODE) {
      *code = b;
    } else {
      lc_walk_blob(pk, LC_CLASS, b);
      lc_write_varint(pk, lc_class_id(L, -3));
      done = true;
    }
  }
  lua_pop(L, done ? 3 : 2);
  return done;
}

bool lc_walk_stale(lua_State *L, lc_packer *pk) {
  if (pk->refreshed)
    return false;
  pk->refreshed = true;
  if (!lc_refresh_names(L, pk->state))
    return false;
  lc_walk_restart(pk, LC_NEW_NAMES);
  return true;
}

bool lc_walk_seen(lua_State *L, lc_packer *pk, const void *key) {
  const lc_memo *seen = lc_write_find(pk, key);
  if (seen == NULL)
    return false;
  lc_write_back(pk, seen);
  lua_pop(L, 1);
  return true;
}

bool lc_walk_has(lua_State *L, int t, const char *name) {
  t = lua_absindex(L, t);
  lua_pushstring(L, name);
  bool yes = lua_rawget(L, t) != LUA_TNIL;
  lua_pop(L, 1);
  return yes;
}

/* ---- The loop ---- */

static void pointer(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  if (!lc_walk_known(L, pk, &code) && !lc_walk_stale(L, pk))
    lc_walk_fail(L, pk, "cannot send a %s", "light userdata");
}

void lc_walk_value(lua_State *L, lc_packer *pk) {
  int type = lua_type(L, -1);
  if (lc_write_scalar(L, pk, -1, type)) {
    lua_pop(L, 1);
    return;
  }
  switch (type) {
  case LUA_TTABLE: lc_walk_table(L, pk); break;
  case LUA_TFUNCTION: lc_walk_function(L, pk); break;
  case LUA_TUSERDATA: lc_walk_userdata(L, pk); break;
  case LUA_TLIGHTUSERDATA: pointer(L, pk); break;
  default: lc_walk_fail(L, pk, "cannot send a %s", "coroutine"); break;
  }
}

void lc_walk_drain(lua_State *L, lc_packer *pk) {
  while (pk->nframes > 0 && !pk->failed) {
    lc_frame *f = &pk->frames[pk->nframes - 1];
    if (f->kind == LC_TABLE)
      lc_walk_step_table(L, pk);
    else if (f->kind == LC_FUNC)
      lc_walk_step_function(L, pk, f);
    else if (f->kind == LC_META)
      lc_walk_step_meta(L, pk, f);
    else
      lc_walk_step_packed(L, pk, f);
  }
}

void lc_walk_flags(lc_packer *pk) {
  unsigned flags = (pk->plain ? LC_PLAIN : 0) | (pk->wide ? LC_NESTED : 0);
  if (!pk->failed)
    pk->buf[0] = (unsigned char)(LC_VERSION | flags);
}
