#include "lua/flat.h"

#include <string.h>

#include "lua/names.h"
#include "lua/reader.h"
#include "lua/state.h"
#include "lua/writer.h"

/* ---- Packing ---- */

/* A key and a value may be this long, and then it is too large. */
enum { MOST = 256, WIDEST = 1 + LC_SHORTMAX, HEAD = 10 };

/* The scalar at 'idx' at p, which has room for WIDEST; NULL: it is none. */
static inline unsigned char *put_scalar(lua_State *L, unsigned char *p,
                                        int idx) {
  size_t len;
  const char *s;
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
    return lua_isinteger(L, idx) ? lc_put_integer(p, lua_tointeger(L, idx))
                                 : lc_put_number(p, lua_tonumber(L, idx));
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    return len < LC_SHORTMAX ? lc_put_string(p, s, len) : NULL;
  case LUA_TBOOLEAN:
    *p = lua_toboolean(L, idx) ? LC_TRUE : LC_FALSE;
    return p + 1;
  default: return NULL;
  }
}

/* The key at -2; NULL: not here.  A table with a field __index is a class. */
static inline unsigned char *put_key(lua_State *L, unsigned char *p) {
  size_t len;
  if (lua_type(L, -2) != LUA_TSTRING)
    return lua_type(L, -2) == LUA_TNUMBER ? put_scalar(L, p, -2) : NULL;
  const char *s = lua_tolstring(L, -2, &len);
  return len < LC_SHORTMAX && s[0] != '_' ? lc_put_string(p, s, len) : NULL;
}

/* Is the key at -2 the integer i? */
static inline bool is_index(lua_State *L, lua_Integer i) {
  return lua_isinteger(L, -2) && lua_tointeger(L, -2) == i;
}

/* Write the table at 'idx' from HEAD on; the end, or NULL. */
static unsigned char *put_fields(lua_State *L, int idx, unsigned char *start) {
  uint32_t n = 0, m = 0;
  unsigned char *p = start + HEAD;
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    if (p - start > MOST - 2 * WIDEST)
      return NULL;
    if (m == 0 && is_index(L, (lua_Integer)n + 1)) {
      n++;
    } else {
      m++;
      if ((p = put_key(L, p)) == NULL)
        return NULL;
    }
    if ((p = put_scalar(L, p, -1)) == NULL)
      return NULL;
    lua_pop(L, 1);
  }
  lc_store4(start + 2, n);
  lc_store4(start + 6, m);
  return p;
}

/* Is the table at 'idx' nothing but data? */
static bool is_data(lua_State *L, const lc_state *S, int idx) {
  const void *key = lua_topointer(L, idx);
  if (key == S->packer.globals || lc_mayknow(S, key))
    return false;
  if (!lua_getmetatable(L, idx))
    return true;
  lua_pop(L, 1);
  return false;
}

bool lc_flat_pack(lua_State *L, lc_state *S, int idx, conc_msg *m) {
  unsigned char bytes[MOST];
  int top = lua_gettop(L);
  if (lua_type(L, idx) != LUA_TTABLE || !is_data(L, S, idx))
    return false;
  bytes[0] = LC_VERSION | LC_PLAIN;
  bytes[1] = LC_TABLE;
  const unsigned char *end = put_fields(L, idx, bytes);
  if (end == NULL) {
    lua_settop(L, top);
    return false;
  }
  if (conc_msg_make(m, bytes, (size_t)(end - bytes), NULL, 0) != APR_SUCCESS)
    lc_fail(L, APR_ENOMEM);
  return true;
}

/* ---- Unpacking ---- */

static inline size_t number_size(unsigned tag) {
  static const unsigned char sizes[] = {2, 3, 5, 9, 9};
  _Static_assert(LC_FLOAT - LC_INT1 == sizeof sizes - 1, "their order");
  return tag - LC_INT1 < sizeof sizes ? sizes[tag - LC_INT1] : 0;
}

/* Push the scalar at p; its end, or NULL if there is none, or not all of it. */
static inline const unsigned char *
push_scalar(lua_State *L, const unsigned char *p, const unsigned char *end) {
  size_t left = (size_t)(end - p), len;
  if (left == 0)
    return NULL;
  if (*p < LC_SMALLINT) {
    lua_pushinteger(L, (lua_Integer)*p);
    return p + 1;
  }
  if (*p < LC_NIL) {
    len = *p - (size_t)LC_SHORTSTR;
    if (left <= len)
      return NULL;
    lua_pushlstring(L, (const char *)p + 1, len);
    return p + 1 + len;
  }
  if (*p == LC_TRUE || *p == LC_FALSE) {
    lua_pushboolean(L, *p == LC_TRUE);
    return p + 1;
  }
  len = number_size(*p);
  return len == 0 || len > left ? NULL : p + lc_read_number(L, p);
}

/* Keys are not checked for what they are: so only these. */
static inline bool is_key(unsigned tag) { return tag < LC_NIL; }

static const unsigned char *push_fields(lua_State *L, const unsigned char *p,
                                        const unsigned char *end) {
  uint32_t n = lc_load4(p + 2), m = lc_load4(p + 6);
  int table = lua_gettop(L) + 1;
  if ((uint64_t)n + 2 * (uint64_t)m > (uint64_t)(end - p))
    return NULL;
  lua_createtable(L, (int)n, (int)m);
  p += HEAD;
  for (uint32_t i = 1; i <= n; i++) {
    if ((p = push_scalar(L, p, end)) == NULL)
      return NULL;
    lua_rawseti(L, table, (lua_Integer)i);
  }
  for (; m > 0; m--) {
    if (p == end || !is_key(*p) || (p = push_scalar(L, p, end)) == NULL ||
        (p = push_scalar(L, p, end)) == NULL)
      return NULL;
    lua_rawset(L, table);
  }
  return p;
}

bool lc_flat_unpack(lua_State *L, const conc_msg *m) {
  const unsigned char *p = m->u.bytes, *end = p + m->size;
  int top = lua_gettop(L);
  if (m->size < HEAD || p[0] != (LC_VERSION | LC_PLAIN) || p[1] != LC_TABLE)
    return false;
  if (push_fields(L, p, end) == end)
    return true;
  lua_settop(L, top);
  return false;
}
