/*
 * Reading values.  No byte is trusted: every length is held against what is
 * left, every reference against what exists.  Like the writer it keeps frames
 * of its own, in a block that Lua's collector owns, since anything here may
 * raise.
 */

#include <string.h>

#include "lua/code.h"
#include "lua/names.h"
#include "lua/pack.h"
#include "lua/state.h"

/* A container that is being read; its value is at 'slot'. */
typedef struct frame {
  unsigned char kind; /* LC_TABLE, LC_FUNC, LC_META, LC_PACKED */
  uint32_t n, all;    /* TABLE: sequence items, else items: read, in all */
  uint32_t m;         /* TABLE: keys and values still to come after those */
  int slot;           /* on Lua's stack; PACKED: of the first item */
  uint64_t around;    /* values still to come in the frames around it */
  size_t offset;      /* PACKED: of its tag if it is shared, else 0 */
} frame;

enum { MOST_NESTED = 100 };

typedef struct reader {
  lua_State *L;
  lc_state *state; /* of L; NULL: not asked for yet */
  const unsigned char *start, *p, *end;
  conc_msg *m;
  conc_blob *source; /* the class blob that is read, or NULL */
  int depth;         /* of class blobs */
  int base;          /* Lua's stack below everything of ours */
  int memo;          /* slot: offset -> shared value; 0: not yet */
  uint64_t defining; /* id of the class that begins next, or 0 */
  frame *frames;
  uint32_t nframes, room;
} reader;

static int corrupt(const reader *r) {
  return luaL_error(r->L, "corrupt message (at byte %d)",
                    (int)(r->p - r->start));
}

/* ---- Bytes ---- */

static size_t left(const reader *r) { return (size_t)(r->end - r->p); }

static const unsigned char *take(reader *r, size_t n) {
  if (left(r) < n)
    corrupt(r);
  const unsigned char *p = r->p;
  r->p += n;
  return p;
}

static uint64_t fixed(reader *r, int bytes) {
  const unsigned char *p = take(r, (size_t)bytes);
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++)
    v |= (uint64_t)p[i] << (8 * i);
  return v;
}

static lua_Integer integer(reader *r, int bytes) {
  int unused = 64 - 8 * bytes;
  return (lua_Integer)((int64_t)(fixed(r, bytes) << unused) >> unused);
}

static uint64_t varint(reader *r) {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    unsigned b = *take(r, 1);
    v |= (uint64_t)(b & 0x7f) << shift;
    if (b < 0x80)
      return v;
  }
  corrupt(r);
  return 0;
}

static const char *counted(reader *r, size_t *len) {
  uint64_t n = varint(r);
  if (n > left(r))
    corrupt(r);
  *len = (size_t)n;
  return (const char *)take(r, *len);
}

static conc_obj *reference(reader *r) {
  uint64_t i = varint(r);
  if (i >= r->m->nrefs)
    corrupt(r);
  return conc_msg_refs(r->m)[i];
}

static conc_blob *blob(reader *r, conc_blob_kind kind) {
  conc_obj *o = reference(r);
  if (o->cls != &conc_blob_class || ((conc_blob *)o)->kind != kind)
    corrupt(r);
  return (conc_blob *)o;
}

/* ---- What is referred back to ---- */

/* The value on the top is shared: others refer to its offset. */
static void share(reader *r, size_t offset) {
  if (r->memo == 0)
    corrupt(r);
  if (lua_isnil(r->L, r->memo)) {
    lua_newtable(r->L);
    lua_replace(r->L, r->memo);
  }
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->memo, (lua_Integer)offset);
}

static void push_shared(reader *r) {
  uint64_t offset = varint(r);
  if (r->memo == 0 || lua_isnil(r->L, r->memo) ||
      lua_rawgeti(r->L, r->memo, (lua_Integer)offset) == LUA_TNIL)
    corrupt(r);
}

/* ---- Frames ---- */

/*
 * A wide message has two slots below everything: what is referred back to, and
 * the block of frames when they are many.
 */
static void set_up(reader *r) {
  lua_pushnil(r->L);
  lua_pushnil(r->L);
  r->memo = r->base + 1;
}

static void more_frames(reader *r) {
  uint32_t room = 2 * r->room;
  if (r->memo == 0)
    corrupt(r);
  if (room > 2 * LC_DEEPEST)
    luaL_error(r->L, "message nested too deeply");
  frame *block = lua_newuserdatauv(r->L, room * sizeof *block, 0);
  memcpy(block, r->frames, r->nframes * sizeof *block);
  lua_replace(r->L, r->memo + 1);
  r->frames = block;
  r->room = room;
}

/* Values that the open frames wait for, after the one that begins now. */
static uint64_t expected(const reader *r) {
  if (r->nframes == 0)
    return 0;
  const frame *f = &r->frames[r->nframes - 1];
  return f->around + (f->all - f->n) + f->m - 1;
}

/*
 * A value takes a byte at least.  All frames together hold their counts
 * against what is left, or tables in tables could each have room made for it.
 */
static void expect(const reader *r, uint64_t values) {
  if (values + expected(r) > left(r))
    corrupt(r);
}

static frame *open_frame(reader *r, unsigned kind, uint32_t all) {
  if (r->nframes > 0)
    luaL_checkstack(r->L, 12, "message nested too deeply");
  if (r->nframes == r->room)
    more_frames(r);
  uint64_t around = expected(r);
  frame *f = &r->frames[r->nframes++];
  *f = (frame){.kind = (unsigned char)kind,
               .all = all,
               .slot = lua_gettop(r->L),
               .around = around};
  return f;
}

static void begin_table(reader *r, bool shared) {
  size_t offset = (size_t)(r->p - r->start) - 1;
  uint32_t n = (uint32_t)fixed(r, 4), m = (uint32_t)fixed(r, 4);
  if (n > INT32_MAX || m > INT32_MAX)
    corrupt(r);
  expect(r, (uint64_t)n + 2 * (uint64_t)m);
  lua_createtable(r->L, (int)n, (int)m);
  if (r->defining != 0) {
    lc_set_class_id(r->L, -1, r->defining);
    lc_know_blob(r->L, -1, r->source);
    r->defining = 0;
  }
  if (shared)
    share(r, offset);
  frame *f = open_frame(r, LC_TABLE, n);
  f->m = 2 * m;
}

static lc_state *state_of(reader *r) {
  if (r->state == NULL)
    r->state = lc_open(r->L);
  return r->state;
}

/* True: the function is on the top, complete. */
static bool begin_function(reader *r, bool shared) {
  size_t offset = (size_t)(r->p - r->start) - 1;
  conc_blob *code = blob(r, CONC_BLOB_CODE);
  unsigned n = *take(r, 1);
  luaL_checkstack(r->L, 12, "message nested too deeply");
  /* With no upvalue but the globals it is the same function each time. */
  bool constant = n == 0 || (n == 1 && left(r) > 0 && *r->p == LC_GLOBALS);
  if (constant && lc_push_code(r->L, state_of(r), code->id)) {
    (void)take(r, n);
    if (shared)
      share(r, offset);
    return true;
  }
  lc_load_code(r->L, code);
  lua_Debug ar;
  lua_pushvalue(r->L, -1);
  lua_getinfo(r->L, ">u", &ar);
  if (ar.nups != n)
    corrupt(r);
  lc_know_blob(r->L, -1, code);
  if (constant)
    lc_keep_code(r->L, -1, code->id);
  if (shared)
    share(r, offset);
  open_frame(r, LC_FUNC, n);
  return false;
}

/* The next upvalue of the function being read is one of an earlier one. */
static void join(reader *r) {
  lua_State *L = r->L;
  frame *f = r->nframes == 0 ? NULL : &r->frames[r->nframes - 1];
  if (f == NULL || f->kind != LC_FUNC)
    corrupt(r);
  push_shared(r);
  int i = *take(r, 1);
  if (lua_type(L, -1) != LUA_TFUNCTION || lua_iscfunction(L, -1) ||
      lua_getupvalue(L, -1, i) == NULL)
    corrupt(r);
  lua_pop(L, 1);
  lua_upvaluejoin(L, f->slot, (int)++f->n, -1, i);
  lua_pop(L, 1);
}

static void begin_packed(reader *r, bool shared) {
  size_t offset = (size_t)(r->p - r->start) - 1;
  uint32_t n = (uint32_t)fixed(r, 4);
  if (n == 0 || n > INT32_MAX / 2)
    corrupt(r);
  expect(r, n);
  luaL_checkstack(r->L, (int)n + 12, "too many values in a message");
  frame *f = open_frame(r, LC_PACKED, n);
  f->slot++;
  f->offset = shared ? offset : 0;
}

/* Only a table of this message may get a metatable or become a class. */
static void expect_table(reader *r, bool meta_too) {
  unsigned tag = left(r) == 0 ? LC_NIL : *r->p;
  if ((tag & ~(unsigned)LC_SHARED) != LC_TABLE && !(meta_too && tag == LC_META))
    corrupt(r);
}

static void begin_class(reader *r) {
  if (r->source == NULL)
    corrupt(r);
  r->defining = varint(r);
  expect_table(r, true);
}

static void begin_meta(reader *r) {
  expect_table(r, false);
  open_frame(r, LC_META, 2)->slot++;
}

/* ---- Classes ---- */

static int read_message(lua_State *L, conc_msg *m, lc_state *S,
                        conc_blob *source, int depth);

static void push_class(reader *r) {
  lua_State *L = r->L;
  conc_blob *b = blob(r, CONC_BLOB_CLASS);
  uint64_t id = varint(r);
  luaL_checkstack(L, 12, "message nested too deeply");
  if (lc_push_class(L, id))
    return;
  int top = lua_gettop(L);
  if (r->depth == MOST_NESTED)
    luaL_error(L, "classes nested too deeply");
  read_message(L, &b->msg, r->state, b, r->depth + 1);
  if (!lc_push_class(L, id))
    corrupt(r);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* ---- The walk ---- */

/* A number, string, boolean or nil: push it, or do nothing and say false. */
static inline bool scalar(reader *r, unsigned tag) {
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
    lua_pushlstring(L, (const char *)take(r, len), len);
    return true;
  }
  switch (tag) {
  case LC_NIL: lua_pushnil(L); return true;
  case LC_FALSE:
  case LC_TRUE: lua_pushboolean(L, tag == LC_TRUE); return true;
  case LC_INT1: lua_pushinteger(L, integer(r, 1)); return true;
  case LC_INT2: lua_pushinteger(L, integer(r, 2)); return true;
  case LC_INT4: lua_pushinteger(L, integer(r, 4)); return true;
  case LC_INT8: lua_pushinteger(L, integer(r, 8)); return true;
  case LC_FLOAT:
    bits = fixed(r, 8);
    memcpy(&d, &bits, sizeof d);
    lua_pushnumber(L, (lua_Number)d);
    return true;
  case LC_STRING:
    s = counted(r, &len);
    lua_pushlstring(L, s, len);
    return true;
  default: return false;
  }
}

/*
 * What is not a scalar.  True: it is complete and on the top.  False: a frame
 * was opened for it, or only a mark was read.
 */
static bool other(reader *r, unsigned tag) {
  lua_State *L = r->L;
  size_t len;
  const char *s;
  switch (tag) {
  case LC_TABLE:
  case LC_TABLE | LC_SHARED: begin_table(r, tag != LC_TABLE); return false;
  case LC_FUNC:
  case LC_FUNC | LC_SHARED: return begin_function(r, tag != LC_FUNC);
  case LC_PACKED:
  case LC_PACKED | LC_SHARED: begin_packed(r, tag != LC_PACKED); return false;
  case LC_META: begin_meta(r); return false;
  case LC_DEF: begin_class(r); return false;
  case LC_JOIN: join(r); return false;
  case LC_REF: push_shared(r); return true;
  case LC_OBJ: lc_push(L, reference(r)); return true;
  case LC_GLOBALS: lua_pushglobaltable(L); return true;
  case LC_NAME:
    s = counted(r, &len);
    lc_pushnamed(L, s, len);
    return true;
  case LC_REGISTERED:
    s = counted(r, &len);
    lc_pushregistered(L, s, len);
    return true;
  case LC_CLASS: push_class(r); return true;
  default: return corrupt(r);
  }
}

static bool value(reader *r) {
  unsigned tag = *take(r, 1);
  if (scalar(r, tag))
    return true;
  return other(r, tag);
}

/* The value on the top is the next of a table: an item, a key or a value. */
static void table_item(reader *r, frame *f) {
  lua_State *L = r->L;
  if (f->n < f->all) {
    lua_rawseti(L, f->slot, (lua_Integer)++f->n);
    return;
  }
  if (f->m-- % 2 != 0) {
    lua_rawset(L, f->slot);
    return;
  }
  if (lua_isnil(L, -1) ||
      (lua_type(L, -1) == LUA_TNUMBER && !lua_rawequal(L, -1, -1))) /* NaN */
    corrupt(r);
}

static void meta_item(reader *r, frame *f) {
  if (++f->n == 1)
    return; /* the table: stays at its slot */
  if (lua_type(r->L, -1) != LUA_TTABLE)
    corrupt(r);
  lua_setmetatable(r->L, f->slot);
}

/* The value on the top belongs to the innermost frame. */
static void deliver(reader *r) {
  frame *f = &r->frames[r->nframes - 1];
  switch (f->kind) {
  case LC_TABLE: table_item(r, f); break;
  case LC_FUNC: lua_setupvalue(r->L, f->slot, (int)++f->n); break;
  case LC_META: meta_item(r, f); break;
  default:
    f->n++; /* PACKED: it stays where it is */
    break;
  }
}

/* Replace what __conc_pack returned by the object that it describes. */
static void rebuild(reader *r, int slot, size_t offset) {
  lua_State *L = r->L;
  if (lua_type(L, slot) == LUA_TSTRING) {
    size_t len;
    const char *name = luaL_gsub(L, lua_tolstring(L, slot, NULL), ":", "\1");
    char *copy = lua_newuserdatauv(L, strlen(name) + 1, 0);
    len = strlen(name);
    for (size_t i = 0; i <= len; i++)
      copy[i] = name[i] == '\1' ? '\0' : name[i];
    lc_pushnamed(L, copy, len);
    lua_replace(L, slot);
    lua_pop(L, 2);
  }
  lua_call(L, lua_gettop(L) - slot, 1);
  if (offset != 0)
    share(r, offset);
}

static bool complete(const reader *r) {
  const frame *f = &r->frames[r->nframes - 1];
  return f->n == f->all && f->m == 0;
}

/* Close the innermost frame: its value is on the top then. */
static void finish(reader *r) {
  frame f = r->frames[--r->nframes];
  if (f.kind == LC_PACKED)
    rebuild(r, f.slot, f.offset);
}

/* The next value is a scalar: push it; else do nothing and say false. */
static inline bool next_scalar(reader *r) {
  if (r->p == r->end)
    return false;
  if (scalar(r, *r->p++))
    return true;
  r->p--;
  return false;
}

/* Read on in a table while scalars come. */
static void fill_table(reader *r, frame *f) {
  while (f->n < f->all && next_scalar(r))
    lua_rawseti(r->L, f->slot, (lua_Integer)++f->n);
  if (f->n == f->all)
    while (f->m > 0 && next_scalar(r))
      table_item(r, f);
}

static void read_value(reader *r) {
  for (;;) {
    frame *f = r->nframes == 0 ? NULL : &r->frames[r->nframes - 1];
    if (f != NULL && f->kind == LC_TABLE)
      fill_table(r, f);
    if (f != NULL && complete(r))
      finish(r);
    else if (!value(r))
      continue;
    if (r->nframes == 0)
      return;
    deliver(r);
  }
}

/* Push the values of *m, which stays; returns how many. */
static int read_message(lua_State *L, conc_msg *m, lc_state *S,
                        conc_blob *source, int depth) {
  const unsigned char *start = conc_msg_data(m);
  frame few[LC_FEW];
  reader r = {.L = L,
              .state = S,
              .start = start,
              .p = start,
              .end = start + m->size,
              .m = m,
              .source = source,
              .depth = depth,
              .base = lua_gettop(L),
              .frames = few,
              .room = LC_FEW};
  int n = 0;
  luaL_checkstack(L, 24, NULL);
  unsigned head = m->size == 0 ? 0 : *take(&r, 1);
  if ((head & 0xf0) != LC_VERSION)
    luaL_error(L, "corrupt message (not of this version)");
  if (head & LC_WIDE)
    set_up(&r);
  for (; r.p < r.end; n++) {
    if (n >= 8)
      luaL_checkstack(L, 24, "too many values in a message");
    read_value(&r);
  }
  if (r.memo != 0) {
    lua_remove(L, r.base + 1);
    lua_remove(L, r.base + 1);
  }
  return n;
}

int lc_unpack_copy(lua_State *L, conc_msg *m) {
  return read_message(L, m, NULL, NULL, 0);
}

int lc_unpack_with(lua_State *L, lc_state *S, conc_msg *m) {
  return read_message(L, m, S, NULL, 0);
}

/* ---- Messages that are freed whatever happens ---- */

static int msg_gc(lua_State *L) {
  conc_msg_fini(lua_touserdata(L, 1));
  return 0;
}

/* (message): a userdata that owns what it held */
static int own_message(lua_State *L) {
  static const char key = 0;
  conc_msg *m = lua_touserdata(L, 1);
  conc_msg *own = lua_newuserdatauv(L, sizeof *own, 0);
  *own = (conc_msg){0};
  lc_setfinalizer(L, &key, msg_gc);
  *own = conc_msg_take(m);
  return 1;
}

/* Call f with *m, which is freed if that raises. */
static void with_message(lua_State *L, lua_CFunction f, conc_msg *m) {
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, m);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    conc_msg_fini(m);
    lua_error(L);
  }
}

conc_msg *lc_pushmsg(lua_State *L, conc_msg *m) {
  luaL_checkstack(L, 4, NULL);
  with_message(L, own_message, m);
  return lua_touserdata(L, -1);
}

/* (message) */
static int read_all(lua_State *L) {
  return read_message(L, lua_touserdata(L, 1), NULL, NULL, 0);
}

/* One scalar and nothing else, in a message that owns nothing. */
static bool read_scalar(lua_State *L, const conc_msg *m) {
  reader r = {.L = L,
              .start = m->u.bytes,
              .p = m->u.bytes + 2,
              .end = m->u.bytes + m->size};
  if (m->size < 2 || m->u.bytes[0] != (LC_VERSION | LC_PLAIN) ||
      !scalar(&r, m->u.bytes[1]))
    return false;
  if (r.p != r.end)
    lua_pop(L, 1);
  return r.p == r.end;
}

int lc_unpack(lua_State *L, conc_msg *m) {
  if (!m->heap && m->nrefs == 0) { /* it owns nothing */
    conc_msg own = *m;
    m->size = 0;
    return read_scalar(L, &own) ? 1 : read_message(L, &own, NULL, NULL, 0);
  }
  conc_msg own = conc_msg_take(m);
  int top = lua_gettop(L);
  with_message(L, read_all, &own);
  conc_msg_fini(&own);
  return lua_gettop(L) - top;
}
