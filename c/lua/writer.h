#ifndef LC_WRITER_H
#define LC_WRITER_H

/*
 * The packer's hands: bytes, references, what was met, open frames.  Nothing
 * here calls Lua, but for lc_write_open which asks for stack.  When memory
 * runs out the packer is marked (failed, nomem) and every later write is
 * harmless.
 */

#include <string.h>

#include "lua/pack.h"

void lc_write_nomem(lc_packer *pk);

/* Make room for 'more' bytes; false: no memory. */
bool lc_write_grow(lc_packer *pk, size_t more);

/* n bytes to be filled in, or NULL. */
static inline unsigned char *lc_write_reserve(lc_packer *pk, size_t n) {
  if (pk->room - pk->len < n && !lc_write_grow(pk, n))
    return NULL;
  unsigned char *p = pk->buf + pk->len;
  pk->len += n;
  return p;
}

static inline void lc_write_byte(lc_packer *pk, unsigned b) {
  unsigned char *p = lc_write_reserve(pk, 1);
  if (p != NULL)
    *p = (unsigned char)b;
}

static inline void lc_write_varint(lc_packer *pk, uint64_t v) {
  while (v >= 0x80) {
    lc_write_byte(pk, (unsigned)(v & 0x7f) | 0x80);
    v >>= 7;
  }
  lc_write_byte(pk, (unsigned)v);
}

static inline void lc_write_bytes(lc_packer *pk, const char *s, size_t len) {
  unsigned char *p = lc_write_reserve(pk, len);
  if (p != NULL)
    memcpy(p, s, len);
}

/*
 * Scalars as they are in a message, at p, which has room for 9 bytes (a short
 * string: 1 + len); returns the end.
 */
static inline unsigned char *lc_put_integer(unsigned char *p, lua_Integer i) {
  if (i >= 0 && i < LC_SMALLINT) {
    *p = (unsigned char)i;
    return p + 1;
  }
  if (i >= INT8_MIN && i <= INT8_MAX) {
    *p = LC_INT1;
    p[1] = (unsigned char)i;
    return p + 2;
  }
  if (i >= INT16_MIN && i <= INT16_MAX) {
    *p = LC_INT2;
    lc_store2(p + 1, (uint32_t)i);
    return p + 3;
  }
  if (i >= INT32_MIN && i <= INT32_MAX) {
    *p = LC_INT4;
    lc_store4(p + 1, (uint32_t)i);
    return p + 5;
  }
  *p = LC_INT8;
  lc_store8(p + 1, (uint64_t)i);
  return p + 9;
}

static inline unsigned char *lc_put_number(unsigned char *p, lua_Number d) {
  double wide = d;
  uint64_t bits;
  memcpy(&bits, &wide, sizeof bits);
  *p = LC_FLOAT;
  lc_store8(p + 1, bits);
  return p + 9;
}

static inline unsigned char *lc_put_string(unsigned char *p, const char *s,
                                           size_t len) {
  *p = (unsigned char)(LC_SHORTSTR + len);
  memcpy(p + 1, s, len);
  return p + 1 + len;
}

/*
 * The number, boolean, nil or string at 'idx' at p, where there is that much
 * room; the end, or NULL: it is something else, or too long.
 */
static inline unsigned char *lc_put_scalar(lua_State *L, int idx,
                                           unsigned char *p, size_t room) {
  enum { WIDEST = 9 };
  size_t len;
  const char *s;
  int type = lua_type(L, idx);
  if (type == LUA_TSTRING) {
    s = lua_tolstring(L, idx, &len);
    return len < room && len < LC_SHORTMAX ? lc_put_string(p, s, len) : NULL;
  }
  if (room < WIDEST)
    return NULL;
  switch (type) {
  case LUA_TNUMBER:
    return lua_isinteger(L, idx) ? lc_put_integer(p, lua_tointeger(L, idx))
                                 : lc_put_number(p, lua_tonumber(L, idx));
  case LUA_TBOOLEAN:
    *p = lua_toboolean(L, idx) ? LC_TRUE : LC_FALSE;
    return p + 1;
  case LUA_TNIL: *p = LC_NIL; return p + 1;
  default: return NULL;
  }
}

static inline void lc_write_string(lc_packer *pk, const char *s, size_t len) {
  lc_write_byte(pk, LC_STRING);
  lc_write_varint(pk, len);
  lc_write_bytes(pk, s, len);
}

/* Write the number, string, boolean or nil at 'idx'; false: it is none. */
static inline bool lc_write_scalar(lua_State *L, lc_packer *pk, int idx,
                                   int type) {
  enum { WIDEST = 1 + LC_SHORTMAX };
  size_t len;
  const char *s;
  if (pk->room - pk->len < WIDEST && !lc_write_grow(pk, WIDEST))
    return true; /* it has failed */
  unsigned char *p = pk->buf + pk->len;
  switch (type) {
  case LUA_TNUMBER:
    p = lua_isinteger(L, idx) ? lc_put_integer(p, lua_tointeger(L, idx))
                              : lc_put_number(p, lua_tonumber(L, idx));
    break;
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    if (len >= LC_SHORTMAX) {
      lc_write_string(pk, s, len);
      return true;
    }
    p = lc_put_string(p, s, len);
    break;
  case LUA_TBOOLEAN: *p++ = lua_toboolean(L, idx) ? LC_TRUE : LC_FALSE; break;
  case LUA_TNIL: *p++ = LC_NIL; break;
  default: return false;
  }
  pk->len = (size_t)(p - pk->buf);
  return true;
}

/* Overwrite 4 bytes at 'at'. */
void lc_write_patch(lc_packer *pk, size_t at, uint32_t v);

/* The number of an object in this message; it is retained. */
uint64_t lc_write_reference(lc_packer *pk, conc_obj *o);

/* What was met under an address in this message, or NULL. */
lc_memo *lc_write_find(lc_packer *pk, const void *key);
void lc_write_remember(lc_packer *pk, const void *key, size_t offset,
                       uint32_t index);
/* Write a reference back, and mark what it refers to. */
void lc_write_back(lc_packer *pk, const lc_memo *m);

/*
 * Open a frame for the value at a stack slot; NULL when it is too deep.  The
 * pointer is good until the next one is opened.
 */
lc_frame *lc_write_open(lua_State *L, lc_packer *pk, unsigned kind, int slot);

/* What comes next shares nothing with what came before. */
void lc_write_forget(lc_packer *pk);

/* Begin a new message; keep memory, drop references. */
void lc_write_begin(lc_packer *pk);

/* Drop the references of a message that will not be. */
void lc_write_drop(lc_packer *pk);

/* Hand what was written over to *m. */
apr_status_t lc_write_end(lc_packer *pk, conc_msg *m);

void lc_write_fini(lc_packer *pk);

#endif
