/* Tables as data: a sequence, then pairs. */

#include "lua/walk.h"

#include <string.h>

#include "lua/names.h"
#include "lua/state.h"

/* (table, key): next key, value, or nothing */
static int protected_next(lua_State *L) { return lua_next(L, 1) ? 2 : 0; }

/* ---- Pairs ---- */

/* Write the string at -2 as a key; false: it makes the table a class. */
static bool string_key(lua_State *L, lc_packer *pk) {
  size_t len;
  const char *s = lua_tolstring(L, -2, &len);
  if (s[0] == '_' && pk->classes == 0 && len == 7 &&
      memcmp(s, "__index", 7) == 0)
    return false;
  if (len >= LC_SHORTMAX) {
    lc_write_string(pk, s, len);
    return true;
  }
  unsigned char *p = lc_write_reserve(pk, 1 + len);
  if (p != NULL)
    (void)lc_put_string(p, s, len);
  return true;
}

/*
 * Write the key at -2, or nothing if it is the next of the sequence.  False: it
 * is no scalar, or makes the table a class.
 */
static bool write_key(lua_State *L, lc_packer *pk, lc_frame *f) {
  int type = lua_type(L, -2);
  int exact = 0; /* a float with an integer's value is never a key */
  if (type == LUA_TNUMBER && f->m == 0 &&
      lua_tointegerx(L, -2, &exact) == (lua_Integer)f->n + 1 && exact) {
    f->n++;
    return true;
  }
  if (type == LUA_TSTRING ? !string_key(L, pk)
                          : !lc_write_scalar(L, pk, -2, type))
    return false;
  f->m++;
  return true;
}

/* The next key and its value are on the top: write one or both. */
static void pair(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (write_key(L, pk, f)) {
    lc_walk_value(L, pk);
  } else if (lua_type(L, -2) == LUA_TSTRING) {
    lc_walk_turn_class(L, pk, f->slot);
  } else {
    f->m++;
    f->stage = LC_PAIR_VALUE;
    lua_pushvalue(L, -2);
    lc_walk_value(L, pk);
  }
}

static void close_table(lua_State *L, lc_packer *pk, const lc_frame *f) {
  lc_write_patch(pk, f->offset + 1, f->n);
  lc_write_patch(pk, f->offset + 5, f->m);
  lua_pop(L, 1);
}

static bool is_scalar(int type) {
  return type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN;
}

/* The pair on the top is the next integer of a sequence of such: write it. */
static inline bool write_item(lua_State *L, lc_packer *pk, lc_frame *f) {
  enum { WIDEST = 9 };
  if (f->m != 0 || !lua_isinteger(L, -1) || !lua_isinteger(L, -2) ||
      lua_tointeger(L, -2) != (lua_Integer)f->n + 1 ||
      pk->room - pk->len < WIDEST)
    return false;
  unsigned char *p = pk->buf + pk->len;
  pk->len += (size_t)(lc_put_integer(p, lua_tointeger(L, -1)) - p);
  f->n++;
  return true;
}

/*
 * Write pairs as long as they are scalars; most tables in a large one are
 * nothing else.  True: that was all.  False: the next pair is on the top.
 *
 * All by lua_next, though a sequence would be read faster by its indices: nothing
 * tells whether its last items lie in the array or among the fields, and from
 * one of those lua_next goes on in the middle of the fields.
 */
static bool flat_pairs(lua_State *L, lc_packer *pk, lc_frame *f) {
  lua_pushnil(L); /* the first key */
  while (!pk->failed && lua_next(L, f->slot)) {
    if (!write_item(L, pk, f)) {
      int type = lua_type(L, -1);
      if (!is_scalar(type) || !write_key(L, pk, f))
        return false;
      (void)lc_write_scalar(L, pk, -1, type);
    }
    lua_pop(L, 1);
  }
  return true;
}

void lc_walk_begin_table(lua_State *L, lc_packer *pk, const void *key) {
  lc_frame flat = {.offset = pk->len, .slot = lua_gettop(L), .kind = LC_TABLE};
  lc_write_remember(pk, key, pk->len, 0);
  unsigned char *p = lc_write_reserve(pk, 9);
  if (p == NULL)
    return;
  *p = LC_TABLE;
  if (flat_pairs(L, pk, &flat)) {
    close_table(L, pk, &flat);
    return;
  }
  lc_frame *f = lc_write_open(L, pk, LC_TABLE, flat.slot);
  if (f == NULL)
    return;
  *f = flat;
  f->stage = LC_PAIR;
}

void lc_walk_table(lua_State *L, lc_packer *pk) {
  const void *key = lua_topointer(L, -1);
  conc_blob *code = NULL;
  if (lc_walk_seen(L, pk, key))
    return;
  if (key == pk->globals) {
    pk->plain = false;
    lc_write_byte(pk, LC_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  if (lc_mayknow(pk->state, key) && lc_walk_known(L, pk, &code))
    return;
  lc_walk_new_table(L, pk, key,
                    pk->classes != 0 && lc_walk_has(L, -1, "__index"));
}

/*
 * lua_next, which raises when the key has gone: a __conc_pack that ran since
 * the table was opened may have done that.
 */
static bool next(lua_State *L, lc_packer *pk, int table) {
  if (!pk->ran)
    return lua_next(L, table) != 0;
  int top = lua_gettop(L);
  lua_pushcfunction(L, protected_next);
  lua_pushvalue(L, table);
  lua_pushvalue(L, top);
  if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
    lua_settop(L, top);
    lc_walk_fail(L, pk, "%s", "a __conc_pack has changed the table around it");
    return false;
  }
  lua_remove(L, top);
  return lua_gettop(L) > top;
}

/* Write on in the table of the innermost frame until another one opens. */
void lc_walk_step_table(lua_State *L, lc_packer *pk) {
  uint32_t at = pk->nframes - 1;
  while (pk->nframes == at + 1 && !pk->failed) {
    lc_frame *f = &pk->frames[at];
    if (f->stage == LC_PAIR_VALUE) {
      f->stage = LC_ITEMS;
      lc_walk_value(L, pk);
    } else if (f->stage == LC_PAIR) {
      f->stage = LC_ITEMS;
      pair(L, pk, f);
    } else if (next(L, pk, f->slot)) {
      pair(L, pk, f);
    } else {
      if (pk->failed)
        return;
      close_table(L, pk, f);
      pk->nframes--;
      return;
    }
  }
}
