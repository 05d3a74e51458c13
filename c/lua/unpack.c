/*
 * Reading values.  Like the writer it keeps frames of its own, in a block that
 * Lua's collector owns, since anything here may raise.
 */

#include "lua/bindings/lend.h"
#include "lua/build.h"
#include "lua/flat.h"
#include "lua/names.h"

/* ---- The walk ---- */

/*
 * What is not a scalar.  True: it is complete and on the top.  False: a frame
 * was opened for it, or only a mark was read.
 */
static bool other(lc_reader *r, unsigned tag) {
  lua_State *L = r->L;
  size_t len;
  const char *s;
  conc_obj *o;
  switch (tag) {
  case LC_TABLE:
  case LC_TABLE | LC_SHARED: return lc_build_table(r, tag != LC_TABLE);
  case LC_FUNC:
  case LC_FUNC | LC_SHARED: return lc_build_function(r, tag != LC_FUNC);
  case LC_PACKED:
  case LC_PACKED | LC_SHARED:
    lc_build_packed(r, tag != LC_PACKED);
    return false;
  case LC_META: lc_build_meta(r); return false;
  case LC_DEF: lc_build_class(r); return false;
  case LC_JOIN: lc_build_join(r); return false;
  case LC_REF: lc_read_shared(r); return true;
  case LC_OBJ:
    o = lc_read_reference(r);
    if (o->cls == &conc_loan_class)
      lc_read_corrupt(r);
    lc_push(L, o);
    return true;
  case LC_LENT:
    o = lc_read_reference(r);
    if (o->cls != &conc_loan_class)
      lc_read_corrupt(r);
    lc_pushlent(L, (conc_loan *)o);
    return true;
  case LC_GLOBALS: lua_pushglobaltable(L); return true;
  case LC_NAME:
    s = lc_read_counted(r, &len);
    lc_pushnamed(L, s, len);
    return true;
  case LC_REGISTERED:
    s = lc_read_counted(r, &len);
    lc_pushregistered(L, s, len);
    return true;
  case LC_CLASS: lc_push_class_of(r); return true;
  default: return lc_read_corrupt(r);
  }
}

/* A stranger's tables are read, and what would name or run anything is not. */
static int refuse(lc_reader *r, unsigned tag) {
  unsigned kind = tag & ~(unsigned)LC_SHARED;
  if (kind != LC_FUNC && kind != LC_PACKED && tag != LC_NAME &&
      tag != LC_META && tag != LC_GLOBALS && tag != LC_OBJ)
    return lc_read_corrupt(r);
  return luaL_error(r->L, LC_NOT_PLAIN);
}

static bool value(lc_reader *r) {
  unsigned tag = *lc_read_take(r, 1);
  if (lc_read_scalar(r, tag))
    return true;
  if (r->plain && (tag & ~(unsigned)LC_SHARED) != LC_TABLE && tag != LC_REF)
    refuse(r, tag);
  return other(r, tag);
}

static bool complete(const lc_reader *r) {
  const lc_reading *f = &r->frames[r->nframes - 1];
  return f->n == f->all && f->m == 0;
}

static void read_value(lc_reader *r) {
  for (;;) {
    lc_reading *f = r->nframes == 0 ? NULL : &r->frames[r->nframes - 1];
    if (f != NULL && f->kind == LC_TABLE)
      lc_build_fill(r, f);
    if (f != NULL && complete(r))
      lc_build_finish(r);
    else if (!value(r))
      continue;
    if (r->nframes == 0)
      return;
    lc_build_deliver(r);
  }
}

/* Read everything; *r says what, the rest of it is filled in. */
static int read_all_of(lc_reader *r, conc_msg *m) {
  lua_State *L = r->L;
  lc_reading few[LC_FEW];
  r->m = m;
  r->start = r->p = conc_msg_data(m);
  r->end = r->start + m->size;
  r->base = lua_gettop(L);
  r->frames = few;
  r->room = LC_FEW;
  int n = 0;
  luaL_checkstack(L, 24, NULL);
  unsigned head = m->size == 0 ? 0 : *lc_read_take(r, 1);
  if ((head & 0xf0) != LC_VERSION)
    luaL_error(L, "corrupt message (not of this version)");
  if (head & LC_NESTED)
    lc_read_set_up(r);
  for (; r->p < r->end; n++) {
    if (n >= 8)
      luaL_checkstack(L, 24, "too many values in a message");
    read_value(r);
  }
  if (r->memo != 0) {
    lua_remove(L, r->base + 1);
    lua_remove(L, r->base + 1);
  }
  return n;
}

int lc_read_message(lua_State *L, conc_msg *m, lc_state *S, conc_blob *source,
                    int depth) {
  lc_reader r = {.L = L, .state = S, .source = source, .depth = depth};
  return read_all_of(&r, m);
}

int lc_unpack_plain(lua_State *L, conc_msg *m) {
  lc_reader r = {.L = L, .plain = true};
  return read_all_of(&r, m);
}

int lc_unpack_copy(lua_State *L, conc_msg *m) {
  return lc_read_message(L, m, NULL, NULL, 0);
}

int lc_unpack_with(lua_State *L, lc_state *S, conc_msg *m) {
  return lc_read_message(L, m, S, NULL, 0);
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
  if (!lua_checkstack(L, 4)) {
    conc_msg_fini(m);
    luaL_error(L, "stack overflow");
  }
  with_message(L, own_message, m);
  return lua_touserdata(L, -1);
}

/* (message) */
static int read_all(lua_State *L) {
  return lc_read_message(L, lua_touserdata(L, 1), NULL, NULL, 0);
}

/* One scalar and nothing else, in a message that owns nothing. */
static bool read_scalar(lua_State *L, const conc_msg *m) {
  lc_reader r = {.L = L,
                 .start = m->u.bytes,
                 .p = m->u.bytes + 2,
                 .end = m->u.bytes + m->size};
  if (m->size < 2 || m->u.bytes[0] != (LC_VERSION | LC_PLAIN) ||
      !lc_read_scalar(&r, m->u.bytes[1]))
    return false;
  if (r.p != r.end)
    lua_pop(L, 1);
  return r.p == r.end;
}

int lc_unpack_result(lua_State *L, conc_msg *m) {
  if (!m->heap && m->nrefs == 0 && read_scalar(L, m))
    return 1;
  return lc_unpack_copy(L, m);
}

int lc_unpack(lua_State *L, conc_msg *m) {
  if (!m->heap && m->nrefs == 0) { /* it owns nothing */
    conc_msg own = *m;
    m->size = 0;
    if (read_scalar(L, &own) || lc_flat_unpack(L, &own))
      return 1;
    return lc_read_message(L, &own, NULL, NULL, 0);
  }
  conc_msg own = conc_msg_take(m);
  int top = lua_gettop(L);
  with_message(L, read_all, &own);
  conc_msg_fini(&own);
  return lua_gettop(L) - top;
}
