/* Tables as data: a sequence, then pairs. */

#include "lua/walk.h"

#include <string.h>

#include "lua/names.h"
#include "lua/state.h"

/* (table, key): next key, value, or nothing */
static int protected_next(lua_State *L) { return lua_next(L, 1) ? 2 : 0; }

static bool may_be_next(lua_State *L, int table, lua_Integer key) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, protected_next);
  lua_pushvalue(L, table);
  lua_pushinteger(L, key);
  bool yes = lua_pcall(L, 2, 0, 0) == LUA_OK;
  lua_settop(L, top);
  return yes;
}

enum { MANY = 32, AT_ONCE = 64 };

/* Write the integers that stand on the stack from 'at' on, at most n; how many. */
static uint32_t write_integers(lua_State *L, lc_packer *pk, int at,
                               uint32_t n) {
  enum { WIDEST = 9 };
  uint32_t k = 0;
  if (pk->room - pk->len < n * WIDEST && !lc_write_grow(pk, n * WIDEST))
    return 0;
  unsigned char *p = pk->buf + pk->len;
  for (; k < n && lua_isinteger(L, at + (int)k); k++)
    p = lc_put_integer(p, lua_tointeger(L, at + (int)k));
  pk->len = (size_t)(p - pk->buf);
  return k;
}

/* Write the items of a sequence of n behind 'from', as far as they are scalars;
   the last one. */
static uint32_t write_sequence(lua_State *L, lc_packer *pk, int table,
                               uint32_t from, uint32_t n) {
  int top = lua_gettop(L), at = top + 1, types[AT_ONCE];
  bool bare = !lua_getmetatable(L, table); /* then lua_geti is the faster one */
  lua_settop(L, top);
  for (uint32_t i = from; i < n; i += AT_ONCE) {
    uint32_t many = n - i < AT_ONCE ? n - i : AT_ONCE, k;
    for (k = 0; k < many; k++)
      types[k] = bare ? lua_geti(L, table, (lua_Integer)(i + k) + 1)
                      : lua_rawgeti(L, table, (lua_Integer)(i + k) + 1);
    k = write_integers(L, pk, at, many);
    while (k < many && lc_write_scalar(L, pk, at + (int)k, types[k]))
      k++;
    lua_settop(L, top);
    if (k < many)
      return i + k;
  }
  return n;
}

/*
 * The scalars of a long sequence, by their index, which is twice as fast as by
 * lua_next: from behind the f->n that are written, whose key is on the top.  It
 * needs to know that they lie in the table's array: then lua_next visits them
 * in order, and can go on behind them.  They do if lua_next takes the index
 * behind the last one for a key: nothing is there, and lua_next raises for a
 * key that is neither in the hash nor an index of the array.  (An array that is
 * exactly full cannot be told, and is walked.)
 */
static void long_sequence(lua_State *L, lc_packer *pk, lc_frame *f) {
  lua_Unsigned len = lua_rawlen(L, f->slot);
  uint32_t n = len < INT32_MAX ? (uint32_t)len : INT32_MAX - 1;
  if (pk->anchors != 0 || !lua_checkstack(L, AT_ONCE) ||
      !may_be_next(L, f->slot, (lua_Integer)n + 1))
    return;
  f->n = write_sequence(L, pk, f->slot, f->n, n);
  lua_pop(L, 1);
  lua_pushinteger(L, (lua_Integer)f->n); /* the key that lua_next had last */
}

/* ---- Pairs ---- */

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

/*
 * Write pairs as long as they are scalars; most tables in a large one are
 * nothing else.  True: that was all.  False: the next pair is on the top.
 */
static bool flat_pairs(lua_State *L, lc_packer *pk, lc_frame *f) {
  lua_pushnil(L); /* the first key */
  while (!pk->failed && lua_next(L, f->slot)) {
    int type = lua_type(L, -1);
    if (!is_scalar(type) || !write_key(L, pk, f))
      return false;
    (void)lc_write_scalar(L, pk, -1, type);
    lua_pop(L, 1);
    if (f->n == MANY && f->m == 0)
      long_sequence(L, pk, f);
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
