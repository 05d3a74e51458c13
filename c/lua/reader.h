#ifndef LC_READER_H
#define LC_READER_H

/*
 * The hands of unpacking: bytes, scalars, what is referred back to, frames.
 * No byte is trusted: every length is held against what is left, every
 * reference against what exists.  Anything here may raise.
 */

#include <string.h>

#include "core/blob.h"
#include "lua/lc.h"
#include "lua/pack.h"

/* A container that is being read; its value is at 'slot'. */
typedef struct lc_reading {
  unsigned char kind; /* LC_TABLE, LC_FUNC, LC_META, LC_PACKED */
  uint32_t n, all;    /* TABLE: sequence items, else items: read, in all */
  uint32_t m;         /* TABLE: keys and values still to come after those */
  int slot;           /* on Lua's stack; PACKED: of the first item */
  uint64_t around;    /* values still to come in the frames around it */
  size_t offset;      /* PACKED: of its tag if it is shared, else 0 */
} lc_reading;

typedef struct lc_reader {
  lua_State *L;
  lc_state *state; /* of L; NULL: not asked for yet */
  const unsigned char *start, *p, *end;
  conc_msg *m;
  conc_blob *source; /* the class blob that is read, or NULL */
  int depth;         /* of class blobs */
  bool plain;        /* from a stranger: nothing but data */
  int base;          /* Lua's stack below everything of ours */
  int memo;          /* slot: offset -> shared value; 0: not yet */
  uint64_t defining; /* id of the class that begins next, or 0 */
  lc_reading *frames;
  uint32_t nframes, room;
} lc_reader;

#define LC_NOT_PLAIN "not plain data: refused, since the sender is not trusted"

/* Raise "corrupt message". */
int lc_read_corrupt(const lc_reader *r);

/* ---- Bytes ---- */

static inline size_t lc_read_left(const lc_reader *r) {
  return (size_t)(r->end - r->p);
}

static inline const unsigned char *lc_read_take(lc_reader *r, size_t n) {
  if (lc_read_left(r) < n)
    lc_read_corrupt(r);
  const unsigned char *p = r->p;
  r->p += n;
  return p;
}

static inline uint32_t lc_read_count(lc_reader *r) {
  return lc_load4(lc_read_take(r, 4));
}

uint64_t lc_read_varint(lc_reader *r);
/* A varint length, and that many bytes. */
const char *lc_read_counted(lc_reader *r, size_t *len);
/* The object of conc that is meant; the blob, of that kind. */
conc_obj *lc_read_reference(lc_reader *r);
conc_blob *lc_read_blob(lc_reader *r, conc_blob_kind kind);

/*
 * Push the number at p, where LC_NUMBER_MOST bytes can be read; the bytes it
 * has, or 0: there is none.
 */
enum { LC_NUMBER_MOST = 9 };

static inline size_t lc_read_number(lua_State *L, const unsigned char *p) {
  uint64_t bits;
  double d;
  switch (*p) {
  case LC_INT1: lua_pushinteger(L, (int8_t)p[1]); return 2;
  case LC_INT2: lua_pushinteger(L, (int16_t)lc_load2(p + 1)); return 3;
  case LC_INT4: lua_pushinteger(L, (int32_t)lc_load4(p + 1)); return 5;
  case LC_INT8: lua_pushinteger(L, (lua_Integer)lc_load8(p + 1)); return 9;
  case LC_FLOAT:
    bits = lc_load8(p + 1);
    memcpy(&d, &bits, sizeof d);
    lua_pushnumber(L, (lua_Number)d);
    return 9;
  default:
    if (*p >= LC_SMALLINT)
      return 0;
    lua_pushinteger(L, (lua_Integer)*p);
    return 1;
  }
}

/* A number, string, boolean or nil: push it, or do nothing and say false. */
static inline bool lc_read_scalar(lc_reader *r, unsigned tag) {
  lua_State *L = r->L;
  size_t len;
  const char *s;
  uint64_t bits;
  double d;
  if (tag < LC_SMALLINT) {
    lua_pushinteger(L, (lua_Integer)tag);
    return true;
  }
  if (tag < LC_NIL) {
    len = tag - LC_SHORTSTR;
    lua_pushlstring(L, (const char *)lc_read_take(r, len), len);
    return true;
  }
  switch (tag) {
  case LC_NIL: lua_pushnil(L); return true;
  case LC_FALSE:
  case LC_TRUE: lua_pushboolean(L, tag == LC_TRUE); return true;
  case LC_INT1: lua_pushinteger(L, (int8_t)*lc_read_take(r, 1)); return true;
  case LC_INT2:
    lua_pushinteger(L, (int16_t)lc_load2(lc_read_take(r, 2)));
    return true;
  case LC_INT4:
    lua_pushinteger(L, (int32_t)lc_load4(lc_read_take(r, 4)));
    return true;
  case LC_INT8:
    lua_pushinteger(L, (lua_Integer)lc_load8(lc_read_take(r, 8)));
    return true;
  case LC_FLOAT:
    bits = lc_load8(lc_read_take(r, 8));
    memcpy(&d, &bits, sizeof d);
    lua_pushnumber(L, (lua_Number)d);
    return true;
  case LC_STRING:
    s = lc_read_counted(r, &len);
    lua_pushlstring(L, s, len);
    return true;
  default: return false;
  }
}

/* The value on the top is shared: others refer to its offset. */
void lc_read_share(lc_reader *r, size_t offset);
/* Read such an offset and push what is there. */
void lc_read_shared(lc_reader *r);

/* ---- Frames ---- */

/*
 * A wide message has two slots below everything: what is referred back to, and
 * the block of frames when they are many.
 */
void lc_read_set_up(lc_reader *r);

/*
 * A value takes a byte at least.  All frames together hold their counts
 * against what is left, or tables in tables could each have room made for it.
 */
void lc_read_expect(const lc_reader *r, uint64_t values);

/* Open a frame for the value on the top. */
lc_reading *lc_read_open(lc_reader *r, unsigned kind, uint32_t all);

#endif
