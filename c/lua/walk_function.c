/* Functions: their code once, their upvalues each time. */

#include "lua/walk.h"

#include <string.h>

#include "lua/code.h"
#include "lua/names.h"
#include "lua/state.h"

/*
 * A function whose only upvalue is the globals, or none, is sent over and over
 * by those who submit tasks: the last such one is kept, by pointer and in the
 * registry, and needs no look-up.  It holds nothing that this could keep alive.
 */
static const char plain_key = 0;

static void keep_plain(lua_State *L, lc_packer *pk, conc_blob *code,
                       unsigned char nups) {
  lc_state *S = pk->state;
  if (nups > 1 || pk->anchors != 0)
    return;
  if (nups == 1) {
    lua_getupvalue(L, -1, 1);
    bool globals = lua_topointer(L, -1) == pk->globals;
    lua_pop(L, 1);
    if (!globals)
      return;
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &plain_key);
  conc_release_many((conc_obj *)S->plain_code, S->plain_credit);
  S->plain_credit = 0;
  S->plain_fn = lua_topointer(L, -1);
  S->plain_code = code;
  S->plain_nups = nups;
}

static bool write_plain(lua_State *L, lc_packer *pk) {
  const lc_state *S = pk->state;
  if (S->plain_fn == NULL || lua_topointer(L, -1) != S->plain_fn)
    return false;
  lc_walk_blob(pk, LC_FUNC, S->plain_code);
  lc_write_byte(pk, S->plain_nups);
  if (S->plain_nups == 1)
    lc_write_byte(pk, LC_GLOBALS);
  lua_pop(L, 1);
  return true;
}

/*
 * One reference of the code.  Who submits takes them by the dozen: the count is
 * written by the workers for every task that they have read, and each time
 * their line of memory would have to come here.
 */
static conc_obj *spend(lc_state *S) {
  enum { DOZENS = 64 };
  if (S->plain_credit == 0) {
    conc_retain_many(&S->plain_code->obj, DOZENS);
    S->plain_credit = DOZENS;
  }
  S->plain_credit--;
  return &S->plain_code->obj;
}

bool lc_pack_light(lua_State *L, lc_state *S, int first, int last,
                   conc_msg *m) {
  /* Before the reference, which is where a multiple of 8 is. */
  enum { ROOM = (CONC_MSG_INLINE - sizeof(conc_obj *)) / 8 * 8, HEAD = 5 };
  unsigned char *p = m->u.bytes, *end = p + ROOM;
  if (S->plain_fn == NULL || S->closed || /* nobody would take them back */
      last - first > ROOM - HEAD || lua_type(L, first) != LUA_TFUNCTION ||
      lua_topointer(L, first) != S->plain_fn)
    return false;
  *p++ = LC_VERSION;
  *p++ = LC_FUNC;
  *p++ = 0; /* the first reference */
  *p++ = S->plain_nups;
  if (S->plain_nups == 1)
    *p++ = LC_GLOBALS;
  for (int i = first + 1; i <= last; i++)
    if ((p = lc_put_scalar(L, i, p, (size_t)(end - p))) == NULL)
      return false;
  m->size = (size_t)(p - m->u.bytes);
  m->nrefs = 1;
  m->heap = false;
  conc_msg_refs(m)[0] = spend(S);
  return true;
}

static void begin_function(lua_State *L, lc_packer *pk, conc_blob *code) {
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &ar);
  lc_frame *f = lc_write_open(L, pk, LC_FUNC, lua_gettop(L));
  if (f == NULL)
    return;
  f->all = ar.nups;
  keep_plain(L, pk, code, ar.nups);
  lc_write_remember(pk, lua_topointer(L, -1), pk->len, 0);
  lc_walk_blob(pk, LC_FUNC, code);
  lc_write_byte(pk, ar.nups);
}

void lc_walk_function(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  if (write_plain(L, pk))
    return;
  if (lc_walk_seen(L, pk, lua_topointer(L, -1)) || lc_walk_known(L, pk, &code))
    return;
  if (code == NULL && lc_walk_stale(L, pk))
    return;
  if (lua_iscfunction(L, -1)) {
    if (lc_know_method(L, -1) && lc_walk_known(L, pk, &code))
      return;
    lc_walk_fail(L, pk, "%s", "cannot send a C function that no module holds");
    return;
  }
  lc_walk_anchor(L, pk, -1);
  if (code == NULL)
    code = lc_code_of(L);
  if (code == NULL)
    lc_write_nomem(pk);
  else
    begin_function(L, pk, code);
}

/*
 * A table of globals that asks a function for what it has not (a test
 * framework gives such to its files) stands for the globals of its state, and
 * over there for those of that one.
 */
static bool is_sandbox(lua_State *L) {
  bool yes = false;
  if (lua_type(L, -1) == LUA_TTABLE && lua_getmetatable(L, -1)) {
    lua_pushliteral(L, "__index");
    yes = lua_rawget(L, -2) == LUA_TFUNCTION;
    lua_pop(L, 2);
  }
  return yes;
}

/* Write the next upvalue of the function at f->slot, or close it. */
void lc_walk_step_function(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->n == f->all) {
    lua_pop(L, 1);
    pk->nframes--;
    return;
  }
  int slot = f->slot, i = (int)++f->n;
  size_t offset = f->offset;
  const void *id = lua_upvalueid(L, slot, i);
  const lc_memo *seen = lc_write_find(pk, id);
  if (seen != NULL) {
    size_t at = seen->offset;
    uint32_t index = seen->index;
    if (!pk->failed)
      pk->buf[at] |= LC_SHARED;
    pk->wide = true;
    lc_write_byte(pk, LC_JOIN);
    lc_write_varint(pk, at);
    lc_write_byte(pk, index);
    return;
  }
  lc_write_remember(pk, id, offset, (uint32_t)i);
  const char *name = lua_getupvalue(L, slot, i);
  if (strcmp(name, "_ENV") == 0 && is_sandbox(L)) {
    pk->plain = false;
    lc_write_byte(pk, LC_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  lc_walk_value(L, pk);
}
