#include "lua/build.h"

#include <lauxlib.h>

#include "lua/code.h"
#include "lua/names.h"
#include "lua/state.h"

/* ---- Long sequences ---- */

/* Push a function that makes a table of what it is called with. */
static void push_maker(lua_State *L) {
  static const char key = 0, code[] = "return {...}";
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TFUNCTION)
    return;
  lua_pop(L, 1);
  if (luaL_loadbufferx(L, code, sizeof code - 1, "=conc", "t") != LUA_OK)
    lua_error(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

/* Push the numbers that come next, but for the last one or two, at most n; how
   many. */
static uint32_t push_numbers(lc_reader *r, uint32_t n) {
  lua_State *L = r->L;
  const unsigned char *p = r->p, *end = r->end;
  size_t size;
  uint32_t k = 0;
  for (; k < n && end - p >= LC_NUMBER_MOST; k++, p += size)
    if ((size = lc_read_number(L, p)) == 0)
      break;
  r->p = p;
  return k;
}

/* Push the scalars that come next, at most n; how many. */
static uint32_t push_scalars(lc_reader *r, uint32_t n) {
  uint32_t k = push_numbers(r, n);
  for (; k < n && r->p < r->end; k++)
    if (!lc_read_scalar(r, *r->p++)) {
      r->p--;
      break;
    }
  return k;
}

/*
 * Push a table that will have n items, with the scalars that it begins with;
 * how many these are.  Lua's own {...} takes all of them off the stack at once,
 * in half the time of a lua_rawseti for each.  While it runs it has a second
 * copy of them there; more than the stack can hold go one by one.
 */
static uint32_t push_sequence(lc_reader *r, uint32_t n) {
  lua_State *L = r->L;
  if (n > INT32_MAX / 4 || !lua_checkstack(L, 2 * (int)n + 64)) {
    lua_createtable(L, (int)n, 0);
    return 0;
  }
  push_maker(L);
  int slot = lua_gettop(L);
  uint32_t k = push_scalars(r, n);
  if (k == n) {
    lua_call(L, (int)n, 1);
    return n;
  }
  lua_createtable(L, (int)n, 0);
  lua_replace(L, slot);
  for (uint32_t i = k; i > 0; i--)
    lua_rawseti(L, slot, (lua_Integer)i);
  return k;
}

/* ---- Tables ---- */

/* The next value is a scalar: push it; else do nothing and say false. */
static inline bool next_scalar(lc_reader *r) {
  if (r->p == r->end)
    return false;
  if (lc_read_scalar(r, *r->p++))
    return true;
  r->p--;
  return false;
}

/* Numbers in a row, but for the last one or two, with little ado. */
static void fill_numbers(lc_reader *r, lc_reading *f) {
  size_t size;
  lua_State *L = r->L;
  const unsigned char *p = r->p;
  uint32_t n = f->n, all = f->all;
  while (n < all && r->end - p >= LC_NUMBER_MOST &&
         (size = lc_read_number(L, p)) != 0) {
    p += size;
    lua_rawseti(L, f->slot, (lua_Integer)++n);
  }
  r->p = p;
  f->n = n;
}

/* The value on the top is the next of a table: an item, a key or a value. */
static void item(lc_reader *r, lc_reading *f) {
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
    lc_read_corrupt(r);
}

void lc_build_fill(lc_reader *r, lc_reading *f) {
  if (f->n < f->all)
    fill_numbers(r, f);
  while (f->n < f->all && next_scalar(r))
    lua_rawseti(r->L, f->slot, (lua_Integer)++f->n);
  if (f->n == f->all)
    while (f->m > 0 && next_scalar(r))
      item(r, f);
}

/* A table that is nothing but scalars needs no frame; most are such. */
bool lc_build_table(lc_reader *r, bool shared) {
  enum { LONG = 64 };
  size_t offset = (size_t)(r->p - r->start) - 1;
  uint32_t n = lc_read_count(r), m = lc_read_count(r);
  if (n > INT32_MAX || m > INT32_MAX)
    lc_read_corrupt(r);
  lc_read_expect(r, (uint64_t)n + 2 * (uint64_t)m);
  uint32_t had = 0;
  if (n >= LONG && m == 0 && !shared && r->defining == 0)
    had = push_sequence(r, n);
  else
    lua_createtable(r->L, (int)n, (int)m);
  if (r->defining != 0) {
    lc_set_class_id(r->L, -1, r->defining);
    lc_know_blob(r->L, -1, r->source);
    r->defining = 0;
  }
  if (shared)
    lc_read_share(r, offset);
  lc_reading flat = {.slot = lua_gettop(r->L), .n = had, .all = n, .m = 2 * m};
  lc_build_fill(r, &flat);
  if (flat.n == n && flat.m == 0)
    return true;
  lc_reading *f = lc_read_open(r, LC_TABLE, n);
  f->slot = flat.slot;
  f->n = flat.n;
  f->m = flat.m;
  return false;
}

static lc_state *state_of(lc_reader *r) {
  if (r->state == NULL)
    r->state = lc_open(r->L);
  return r->state;
}

bool lc_build_function(lc_reader *r, bool shared) {
  size_t offset = (size_t)(r->p - r->start) - 1;
  conc_blob *code = lc_read_blob(r, CONC_BLOB_CODE);
  unsigned n = *lc_read_take(r, 1);
  luaL_checkstack(r->L, 12, "message nested too deeply");
  /* With no upvalue but the globals it is the same function each time. */
  bool constant =
    n == 0 || (n == 1 && lc_read_left(r) > 0 && *r->p == LC_GLOBALS);
  if (constant && lc_push_code(r->L, state_of(r), code->id)) {
    (void)lc_read_take(r, n);
    if (shared)
      lc_read_share(r, offset);
    return true;
  }
  lc_load_code(r->L, code);
  lua_Debug ar;
  lua_pushvalue(r->L, -1);
  lua_getinfo(r->L, ">u", &ar);
  if (ar.nups != n)
    lc_read_corrupt(r);
  lc_know_blob(r->L, -1, code);
  if (constant)
    lc_keep_code(r->L, -1, code->id);
  if (shared)
    lc_read_share(r, offset);
  lc_read_open(r, LC_FUNC, n);
  return false;
}

void lc_build_join(lc_reader *r) {
  lua_State *L = r->L;
  lc_reading *f = r->nframes == 0 ? NULL : &r->frames[r->nframes - 1];
  if (f == NULL || f->kind != LC_FUNC)
    lc_read_corrupt(r);
  lc_read_shared(r);
  int i = *lc_read_take(r, 1);
  if (lua_type(L, -1) != LUA_TFUNCTION || lua_iscfunction(L, -1) ||
      lua_getupvalue(L, -1, i) == NULL)
    lc_read_corrupt(r);
  lua_pop(L, 1);
  lua_upvaluejoin(L, f->slot, (int)++f->n, -1, i);
  lua_pop(L, 1);
}

void lc_build_packed(lc_reader *r, bool shared) {
  size_t offset = (size_t)(r->p - r->start) - 1;
  uint32_t n = lc_read_count(r);
  if (n == 0 || n > INT32_MAX / 2)
    lc_read_corrupt(r);
  lc_read_expect(r, n);
  luaL_checkstack(r->L, (int)n + 12, "too many values in a message");
  lc_reading *f = lc_read_open(r, LC_PACKED, n);
  f->slot++;
  f->offset = shared ? offset : 0;
}

/* Only a table of this message may get a metatable or become a class. */
static void expect_table(lc_reader *r, bool meta_too) {
  unsigned tag = lc_read_left(r) == 0 ? LC_NIL : *r->p;
  if ((tag & ~(unsigned)LC_SHARED) != LC_TABLE && !(meta_too && tag == LC_META))
    lc_read_corrupt(r);
}

void lc_build_class(lc_reader *r) {
  if (r->source == NULL)
    lc_read_corrupt(r);
  r->defining = lc_read_varint(r);
  expect_table(r, true);
}

void lc_build_meta(lc_reader *r) {
  expect_table(r, false);
  lc_read_open(r, LC_META, 2)->slot++;
}

/* ---- Classes ---- */

enum { MOST_NESTED = 100 };

void lc_push_class_of(lc_reader *r) {
  lua_State *L = r->L;
  conc_blob *b = lc_read_blob(r, CONC_BLOB_CLASS);
  uint64_t id = lc_read_varint(r);
  luaL_checkstack(L, 12, "message nested too deeply");
  if (lc_push_class(L, id))
    return;
  int top = lua_gettop(L);
  if (r->depth == MOST_NESTED)
    luaL_error(L, "classes nested too deeply");
  lc_read_message(L, &b->msg, r->state, b, r->depth + 1);
  if (!lc_push_class(L, id))
    lc_read_corrupt(r);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* ---- Parts ---- */

static void meta_item(lc_reader *r, lc_reading *f) {
  if (++f->n == 1)
    return; /* the table: stays at its slot */
  if (lua_type(r->L, -1) != LUA_TTABLE)
    lc_read_corrupt(r);
  lua_setmetatable(r->L, f->slot);
}

void lc_build_deliver(lc_reader *r) {
  lc_reading *f = &r->frames[r->nframes - 1];
  switch (f->kind) {
  case LC_TABLE: item(r, f); break;
  case LC_FUNC: lua_setupvalue(r->L, f->slot, (int)++f->n); break;
  case LC_META: meta_item(r, f); break;
  default:
    f->n++; /* PACKED: it stays where it is */
    break;
  }
}

/* Replace what __conc_pack returned by the object that it describes. */
static void rebuild(lc_reader *r, int slot, size_t offset) {
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
    lc_read_share(r, offset);
}

void lc_build_finish(lc_reader *r) {
  lc_reading f = r->frames[--r->nframes];
  if (f.kind == LC_PACKED)
    rebuild(r, f.slot, f.offset);
}
