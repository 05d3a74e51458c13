/* Tables as data: a sequence, then pairs. */

#include "lua/walk.h"

#include <string.h>

#include "lua/names.h"
#include "lua/state.h"

void lc_walk_begin_table(lua_State *L, lc_packer *pk, const void *key) {
  lc_frame *f = lc_write_open(L, pk, LC_TABLE, lua_gettop(L));
  if (f == NULL)
    return;
  lc_write_remember(pk, key, pk->len, 0);
  unsigned char *p = lc_write_reserve(pk, 9);
  if (p != NULL)
    *p = LC_TABLE;
  lua_pushnil(L); /* the first key */
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
  lc_walk_new_table(L, pk, pk->classes != 0 && lc_walk_has(L, -1, "__index"));
}

/* Write the string at -2 as a key; false: it makes the table a class. */
static bool string_key(lua_State *L, lc_packer *pk) {
  size_t len;
  const char *s = lua_tolstring(L, -2, &len);
  if (s[0] == '_' && pk->classes == 0 && strcmp(s, "__index") == 0)
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

/* The next key and its value are on the top: write one or both. */
static void pair(lua_State *L, lc_packer *pk, lc_frame *f) {
  int type = lua_type(L, -2);
  if (type == LUA_TSTRING) {
    f->m++;
    if (string_key(L, pk))
      lc_walk_value(L, pk);
    else
      lc_walk_turn_class(L, pk, f->slot);
  } else if (type == LUA_TNUMBER && f->m == 0 && lua_isinteger(L, -2) &&
             lua_tointeger(L, -2) == (lua_Integer)f->n + 1) {
    f->n++;
    lc_walk_value(L, pk);
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
  pk->nframes--;
}

/* (table, key): next key, value, or nothing */
static int protected_next(lua_State *L) { return lua_next(L, 1) ? 2 : 0; }

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
    } else if (next(L, pk, f->slot)) {
      pair(L, pk, f);
    } else {
      if (!pk->failed)
        close_table(L, pk, f);
      return;
    }
  }
}
