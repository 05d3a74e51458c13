#ifndef LC_PACK_H
#define LC_PACK_H

/*
 * The byte format, version 1.
 *
 * A message is one byte of version and flags, then values until the end.
 * Integers are little endian.  "varint" is LEB128, seven bits a byte.
 *
 *   00..5f     integer 0..95
 *   60..9f     string of 0..63 bytes, which follow
 *   LC_NIL, LC_FALSE, LC_TRUE
 *   LC_INT1, 2, 4, 8   signed integer of that many bytes
 *   LC_FLOAT   8 bytes, IEEE 754
 *   LC_STRING  varint length, bytes
 *   LC_LENT    varint: the n-th reference of the message, a loan: a string
 *   LC_TABLE   u32 n, u32 m, then values 1..n, then m pairs key value
 *   LC_META    a table, then the value of its metatable
 *   LC_FUNC    varint reference to its code blob, u8 n, then n upvalues: a
 *              value, or LC_JOIN varint offset, u8 i: the i-th upvalue of the
 *              function at that offset
 *   LC_REF     varint offset: the table, function or packed value whose tag
 *              is at that offset once more
 *   LC_OBJ     varint: the n-th reference of the message, an object of conc
 *   LC_GLOBALS the receiver's globals
 *   LC_NAME    varint length, name: module [NUL field [NUL field]], or NUL class
 *              NUL method
 *   LC_CLASS   varint reference to a class blob, varint id of the class
 *   LC_DEF     inside a class blob: varint id, then a table: the class with
 *              that id
 *   LC_REGISTERED  varint length, name given to conc.register
 *   LC_PACKED  u32 n, then n values: what __conc_pack returned
 *
 * Tags of tables, functions and packed values have a twin with bit SHARED:
 * somebody refers back to them.  Offsets count from the message's first byte.
 */

#include <lua.h>

#include "base/msg.h"

enum {
  LC_VERSION = 0x10, /* high nibble of the first byte */
  LC_PLAIN = 0x01,   /* flag: reading it can run nobody's code */
  LC_NESTED = 0x02,  /* flag: it refers back, or nests deeper than LC_FEW */
  LC_SMALLINT = 0x60,
  LC_SHORTSTR = 0x60,
  LC_SHORTMAX = 64,
  LC_NIL = 0xa0,
  LC_FALSE,
  LC_TRUE,
  LC_INT1,
  LC_INT2,
  LC_INT4,
  LC_INT8,
  LC_FLOAT,
  LC_STRING,
  LC_REF,
  LC_OBJ,
  LC_GLOBALS,
  LC_NAME,
  LC_CLASS,
  LC_REGISTERED,
  LC_JOIN,
  LC_META,
  LC_DEF,
  LC_LENT,
  LC_TABLE = 0xc0,
  LC_FUNC,
  LC_PACKED,
  LC_SHARED = 0x10 /* LC_TABLE | LC_SHARED and so on */
};

/*
 * Little endian, whatever the machine is; compilers make one access of each.
 */
static inline void lc_store2(unsigned char *p, uint32_t v) {
  p[0] = (unsigned char)v;
  p[1] = (unsigned char)(v >> 8);
}

static inline void lc_store4(unsigned char *p, uint32_t v) {
  p[0] = (unsigned char)v;
  p[1] = (unsigned char)(v >> 8);
  p[2] = (unsigned char)(v >> 16);
  p[3] = (unsigned char)(v >> 24);
}

static inline void lc_store8(unsigned char *p, uint64_t v) {
  lc_store4(p, (uint32_t)v);
  lc_store4(p + 4, (uint32_t)(v >> 32));
}

static inline uint32_t lc_load2(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t lc_load4(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
         (uint32_t)p[3] << 24;
}

static inline uint64_t lc_load8(const unsigned char *p) {
  return (uint64_t)lc_load4(p) | (uint64_t)lc_load4(p + 4) << 32;
}

/* The deepest nesting: each level takes some of Lua's stack. */
enum { LC_DEEPEST = 200000, LC_FEW = 8 };

typedef struct lc_memo {
  const void *key; /* table, function or upvalue */
  size_t offset;   /* of its tag */
  uint32_t index;  /* of an upvalue in its function */
  uint32_t slot;   /* that leads here */
} lc_memo;

/* Of the hash table of what was met. */
typedef struct lc_slot {
  uint32_t part; /* of the key */
  uint32_t nth;  /* memo, from 1; 0: free */
} lc_slot;

typedef struct lc_frame {
  size_t offset; /* of the tag */
  int slot;      /* of the value, on Lua's stack */
  uint32_t n, m; /* written so far: TABLE items, pairs; others items */
  uint32_t all;  /* FUNC, PACKED: items in all */
  unsigned char kind;
  unsigned char stage;
} lc_frame;

/* Why a packing has to start anew (walk.c). */
typedef enum { LC_NO, LC_NEW_NAMES, LC_NEW_CLASS, LC_USER_CODE } lc_restart;

/*
 * The writer.  Between two packings it keeps its memory.  A failure sticks:
 * everything after it does nothing.
 */
typedef struct lc_packer {
  struct lc_state *state;
  const void *globals; /* the table of globals */
  unsigned char *buf;
  size_t len, room;
  conc_obj **refs; /* retained */
  uint32_t nrefs, refroom;
  lc_memo *memo; /* what was met, in that order */
  uint32_t nmemo, memoroom;
  lc_slot *slots; /* open addressing, a power of two, at most half full */
  uint32_t nslots, free;
  const void
    *missed; /* what was looked for last, and goes to the slot 'free' */
  lc_frame *frames;
  uint32_t nframes, frameroom;
  int anchors;    /* stack slot of what must not be collected, or 0 */
  int classes;    /* packing a class: slot of the classes defined, or 0 */
  bool wire;      /* for another process: nothing of this one only */
  bool plain;     /* nothing so far that could run code when read */
  bool wide;      /* something refers back, or is deeply nested */
  bool ran;       /* user code, which may have changed open tables */
  bool refreshed; /* names were looked up during this packing */
  bool failed;
  bool nomem;
  lc_restart again;
  char error[256]; /* path and reason */
} lc_packer;

#endif
