/* Messages: which packer, which values, again after a restart. */

#include <string.h>

#include "lua/bindings/lend.h"
#include "lua/flat.h"
#include "lua/state.h"
#include "lua/walk.h"

static int packer_gc(lua_State *L) {
  lc_write_fini(lua_touserdata(L, 1));
  return 0;
}

lc_packer *lc_push_packer(lua_State *L, const lc_packer *like) {
  static const char key = 0;
  luaL_checkstack(L, 20, NULL);
  lc_packer *pk = lua_newuserdatauv(L, sizeof *pk, 0);
  memset(pk, 0, sizeof *pk);
  pk->state = like->state;
  pk->globals = like->globals;
  pk->refreshed = like->refreshed;
  pk->wire = like->wire;
  lc_setfinalizer(L, &key, packer_gc);
  lua_newtable(L);
  pk->anchors = lua_gettop(L);
  return pk;
}

/* What error messages call the value at 'i'. */
static const char *label(lua_State *L, const lc_packing *r, int i) {
  bool worker = strcmp(r->name, "initializer") == 0;
  bool call = strcmp(r->name, "fn") == 0 || strcmp(r->name, "target") == 0 ||
              strcmp(r->name, "init") == 0 || worker;
  int fn = r->first + r->before;
  if (call && i > fn)
    return lua_pushfstring(L, worker ? "initargs[%d]" : "args[%d]", i - fn);
  if (call || (r->first == r->last && strcmp(r->name, "args") != 0))
    return r->name;
  return lua_pushfstring(L, "%s[%d]", r->name, i - r->first + 1);
}

static int no_pack(lua_State *L, const lc_packer *pk, const lc_packing *r,
                   int i) {
  if (pk->nomem)
    return lc_fail(L, APR_ENOMEM);
  return lc_error(L, "%s%s", label(L, r, i), pk->error);
}

/* Lend the string at 'i', if it is one and large enough. */
static bool write_lent(lua_State *L, lc_packer *pk, const lc_packing *r,
                       int i) {
  if (!r->lend || r->wire || lua_type(L, i) != LUA_TSTRING ||
      lua_rawlen(L, i) < LC_LENDABLE)
    return false;
  conc_loan *l = lc_lend(L, i);
  lc_write_byte(pk, LC_LENT);
  lc_write_varint(pk, lc_write_reference(pk, (conc_obj *)l));
  return true;
}

/* Write all values; the index of the one that failed, or 0. */
static int write_all(lua_State *L, lc_packer *pk, const lc_packing *r) {
  lc_write_begin(pk);
  pk->wire = r->wire;
  if (r->extra != NULL)
    lc_write_reference(pk, r->extra);
  lc_write_byte(pk, LC_VERSION | LC_PLAIN);
  for (int i = r->first; i <= r->last; i++) {
    int top = lua_gettop(L);
    if (r->apart != 0 && i > r->apart)
      lc_write_forget(pk);
    if (!write_lent(L, pk, r, i)) {
      lua_pushvalue(L, i);
      lc_walk_value(L, pk);
      lc_walk_drain(L, pk);
    }
    if (pk->failed) {
      lua_settop(L, top);
      return i;
    }
  }
  lc_walk_flags(pk);
  return 0;
}

/*
 * The state's own packer, unless it is in use: a finalizer that puts something
 * into a queue may run while a message is being packed.  (It is left marked
 * when memory runs out in the middle; then packing gets slower, no worse.)
 */
static lc_packer *choose_packer(lua_State *L, lc_state *S) {
  if (S->packing)
    return lc_push_packer(L, &S->packer);
  S->packing = true;
  S->packer.refreshed = false;
  return &S->packer;
}

static void done_packing(lc_state *S, const lc_packer *pk) {
  if (pk == &S->packer)
    S->packing = false;
}

/*
 * One number, boolean, nil or short string goes straight into the message.
 * False: it is something else.
 */
static bool pack_scalar(lua_State *L, int idx, conc_msg *m) {
  unsigned char *p = m->u.bytes;
  *p = LC_VERSION | LC_PLAIN;
  p = lc_put_scalar(L, idx, p + 1, CONC_MSG_INLINE - 1);
  if (p == NULL)
    return false;
  m->size = (size_t)(p - m->u.bytes);
  m->nrefs = 0;
  m->heap = false;
  return true;
}

void lc_pack_with(lua_State *L, lc_state *S, const lc_packing *r, conc_msg *m) {
  int top = lua_gettop(L), bad;
  *m = (conc_msg){0};
  luaL_checkstack(L, 20, NULL);
  if (S->closed) /* nobody would free what the packer gets */
    lc_error(L, "conc: this state is closing");
  lc_packer *pk = choose_packer(L, S);
  while ((bad = write_all(L, pk, r)) != 0) {
    lc_write_drop(pk);
    done_packing(S, pk);
    if (pk->again == LC_NO)
      no_pack(L, pk, r, bad);
    if (pk->again == LC_USER_CODE && pk == &S->packer)
      pk = lc_push_packer(L, pk);
    else if (pk == &S->packer)
      S->packing = true;
  }
  apr_status_t st = lc_write_end(pk, m);
  done_packing(S, pk);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  lua_settop(L, top);
}

void lc_pack_one(lua_State *L, int idx, const char *name, conc_msg *m) {
  const lc_packing r = {.first = idx, .last = idx, .name = name, .lend = true};
  if (!pack_scalar(L, idx, m) && !lc_flat_pack(L, lc_get(L), idx, m))
    lc_pack_with(L, lc_get(L), &r, m);
}

void lc_pack_away(lua_State *L, int idx, const char *name, conc_msg *m) {
  const lc_packing r = {.first = idx, .last = idx, .name = name, .wire = true};
  if (!pack_scalar(L, idx, m) && !lc_flat_pack(L, lc_get(L), idx, m))
    lc_pack_with(L, lc_get(L), &r, m);
}

void lc_pack(lua_State *L, int first, int last, const char *name, conc_msg *m) {
  const lc_packing r = {.first = first, .last = last, .name = name};
  luaL_checkstack(L, 4, NULL); /* there may be just what a call returned */
  if (first != last || !pack_scalar(L, first, m))
    lc_pack_with(L, lc_open(L), &r, m);
}

void lc_pack_answer(lua_State *L, int first, int last, const char *name,
                    conc_msg *m) {
  luaL_checkstack(L, 4, NULL); /* as above */
  lc_state *S = lc_open(L);
  const lc_packing r = {
    .first = first, .last = last, .name = name, .wire = true};
  if (S->serving)
    lc_pack_with(L, S, &r, m);
  else
    lc_pack(L, first, last, name, m);
}
