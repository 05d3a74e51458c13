#include "lua/reader.h"

int lc_read_corrupt(const lc_reader *r) {
  return luaL_error(r->L, "corrupt message (at byte %d)",
                    (int)(r->p - r->start));
}

/* ---- Bytes ---- */

uint64_t lc_read_varint(lc_reader *r) {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    unsigned b = *lc_read_take(r, 1);
    v |= (uint64_t)(b & 0x7f) << shift;
    if (b < 0x80)
      return v;
  }
  lc_read_corrupt(r);
  return 0;
}

const char *lc_read_counted(lc_reader *r, size_t *len) {
  uint64_t n = lc_read_varint(r);
  if (n > lc_read_left(r))
    lc_read_corrupt(r);
  *len = (size_t)n;
  return (const char *)lc_read_take(r, *len);
}

conc_obj *lc_read_reference(lc_reader *r) {
  uint64_t i = lc_read_varint(r);
  if (i >= r->m->nrefs)
    lc_read_corrupt(r);
  return conc_msg_refs(r->m)[i];
}

conc_blob *lc_read_blob(lc_reader *r, conc_blob_kind kind) {
  conc_obj *o = lc_read_reference(r);
  if (o->cls != &conc_blob_class || ((conc_blob *)o)->kind != kind)
    lc_read_corrupt(r);
  return (conc_blob *)o;
}

/* ---- What is referred back to ---- */

void lc_read_share(lc_reader *r, size_t offset) {
  if (r->memo == 0)
    lc_read_corrupt(r);
  if (lua_isnil(r->L, r->memo)) {
    lua_newtable(r->L);
    lua_replace(r->L, r->memo);
  }
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->memo, (lua_Integer)offset);
}

void lc_read_shared(lc_reader *r) {
  uint64_t offset = lc_read_varint(r);
  if (r->memo == 0 || lua_isnil(r->L, r->memo) ||
      lua_rawgeti(r->L, r->memo, (lua_Integer)offset) == LUA_TNIL)
    lc_read_corrupt(r);
}

/* ---- Frames ---- */

void lc_read_set_up(lc_reader *r) {
  lua_pushnil(r->L);
  lua_pushnil(r->L);
  r->memo = r->base + 1;
}

static void more_frames(lc_reader *r) {
  uint32_t room = 2 * r->room;
  if (r->memo == 0)
    lc_read_corrupt(r);
  if (room > 2 * LC_DEEPEST)
    luaL_error(r->L, "message nested too deeply");
  lc_reading *block = lua_newuserdatauv(r->L, room * sizeof *block, 0);
  memcpy(block, r->frames, r->nframes * sizeof *block);
  lua_replace(r->L, r->memo + 1);
  r->frames = block;
  r->room = room;
}

/* Values that the open frames wait for, after the one that begins now. */
static uint64_t expected(const lc_reader *r) {
  if (r->nframes == 0)
    return 0;
  const lc_reading *f = &r->frames[r->nframes - 1];
  return f->around + (f->all - f->n) + f->m - 1;
}

void lc_read_expect(const lc_reader *r, uint64_t values) {
  if (values + expected(r) > lc_read_left(r))
    lc_read_corrupt(r);
}

lc_reading *lc_read_open(lc_reader *r, unsigned kind, uint32_t all) {
  if (r->nframes > 0)
    luaL_checkstack(r->L, 12, "message nested too deeply");
  if (r->nframes == r->room)
    more_frames(r);
  uint64_t around = expected(r);
  lc_reading *f = &r->frames[r->nframes++];
  *f = (lc_reading){.kind = (unsigned char)kind,
                    .all = all,
                    .slot = lua_gettop(r->L),
                    .around = around};
  return f;
}
