#include "lua/bindings/ldict.h"

#include <math.h>
#include <string.h>

#include "core/table.h"
#include "lua/state.h"

/* ---- Keys ---- */

static void check_number(lua_State *L, int idx, int arg, conc_key *key) {
  int whole;
  lua_Integer i = lua_tointegerx(L, idx, &whole);
  key->type = whole ? CONC_KEY_INTEGER : CONC_KEY_FLOAT;
  if (whole)
    key->u.i = i;
  else
    key->u.d = (double)lua_tonumber(L, idx);
  if (!whole && isnan(key->u.d))
    lc_argerror(L, arg, "key", "NaN cannot be a key of a Dict");
}

static void check_object(lua_State *L, int idx, int arg, conc_key *key) {
  key->type = CONC_KEY_OBJECT;
  key->u.o = lc_testany(L, idx);
  if (lua_isnoneornil(L, idx))
    lc_argerror(L, arg, "key", "nil cannot be a key of a Dict");
  if (key->u.o == NULL)
    lc_argerror(L, arg, "key", "a %s cannot be a key of a Dict",
                lc_nameof(L, idx));
  lc_remember(L, idx);
}

conc_key ldict_key_at(lua_State *L, int idx, int arg) {
  conc_key key = {.type = CONC_KEY_STRING};
  switch (lua_type(L, idx)) {
  case LUA_TSTRING: key.u.s = lua_tolstring(L, idx, &key.len); break;
  case LUA_TNUMBER: check_number(L, idx, arg, &key); break;
  case LUA_TBOOLEAN:
    key.type = CONC_KEY_BOOLEAN;
    key.u.b = lua_toboolean(L, idx);
    break;
  default: check_object(L, idx, arg, &key);
  }
  return key;
}

conc_key ldict_key(lua_State *L, int arg) { return ldict_key_at(L, arg, arg); }

void ldict_push_key(lua_State *L, const conc_key *key) {
  switch (key->type) {
  case CONC_KEY_BOOLEAN: lua_pushboolean(L, key->u.b); break;
  case CONC_KEY_INTEGER: lua_pushinteger(L, (lua_Integer)key->u.i); break;
  case CONC_KEY_FLOAT: lua_pushnumber(L, (lua_Number)key->u.d); break;
  case CONC_KEY_STRING: lua_pushlstring(L, key->u.s, key->len); break;
  case CONC_KEY_OBJECT: lc_push(L, key->u.o); break;
  }
}

/* ---- Values ---- */

static int unpack(lua_State *L) {
  conc_msg *m = lua_touserdata(L, 1);
  lc_unpack_copy(L, conc_dict_value(m));
  return 1;
}

void ldict_push_msg(lua_State *L, conc_msg *m) {
  if (m->nrefs == 0) { /* it owns nothing that could be lost */
    lc_unpack(L, m);
    return;
  }
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, m);
  int failed = lua_pcall(L, 1, 1, 0);
  conc_msg_fini(m);
  if (failed)
    lua_error(L);
}

bool ldict_push(lua_State *L, conc_dict *d, const conc_key *key,
                uint64_t *version) {
  conc_msg m = {0};
  bool found = conc_dict_get(d, key, &m, version);
  if (found)
    ldict_push_msg(L, &m);
  else
    lua_pushnil(L);
  return found;
}

void ldict_pack(lua_State *L, int arg, const char *name, conc_msg *m) {
  *m = (conc_msg){0};
  if (!lua_isnil(L, arg))
    lc_pack(L, arg, arg, name, m);
}

/* *m was given to the Dict: drop what came back. */
static void finish(lua_State *L, conc_msg *m, apr_status_t st) {
  conc_msg_fini(m);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
}

void ldict_set(lua_State *L, conc_dict *d, const conc_key *key, int idx,
               const char *name) {
  conc_msg m;
  if (name == NULL)
    name = key->type == CONC_KEY_STRING ? key->u.s : "value";
  ldict_pack(L, idx, name, &m);
  finish(L, &m, conc_dict_set(d, key, &m));
  ldict_wrote(L, d, key);
}

bool ldict_replace(lua_State *L, conc_dict *d, const conc_key *key,
                   uint64_t version, const char *name) {
  conc_msg m;
  ldict_pack(L, lua_gettop(L), name, &m);
  apr_status_t st = conc_dict_replace(d, key, version, &m);
  finish(L, &m, st == APR_EAGAIN ? APR_SUCCESS : st);
  lua_pop(L, 1);
  if (st == APR_SUCCESS)
    ldict_wrote(L, d, key);
  return st == APR_SUCCESS;
}

/* ---- Comparison ---- */

static bool same_contents(conc_msg *a, conc_msg *b) {
  return a->size == b->size && a->nrefs == b->nrefs &&
         memcmp(conc_msg_data(a), conc_msg_data(b), a->size) == 0 &&
         memcmp(conc_msg_refs(a), conc_msg_refs(b),
                a->nrefs * sizeof(conc_obj *)) == 0;
}

/* The number at 'idx' against a value. */
static bool same_number(lua_State *L, int idx, conc_msg *value) {
  if (value->heap || value->nrefs != 0)
    return false; /* no number looks like that */
  lc_unpack_copy(L, value);
  bool same = lua_rawequal(L, idx, -1);
  lua_pop(L, 1);
  return same;
}

bool ldict_is_old(lua_State *L, uint64_t version, conc_msg *value,
                  conc_msg *old) {
  if (version == 0 || lua_isnil(L, 3))
    return version == 0 && lua_isnil(L, 3);
  if (lua_type(L, 3) == LUA_TNUMBER)
    return same_number(L, 3, conc_dict_value(value));
  return same_contents(conc_dict_value(value), old);
}

void ldict_comparable(lua_State *L, int arg) {
  int t = lua_type(L, arg);
  if (t != LUA_TNIL && t != LUA_TBOOLEAN && t != LUA_TNUMBER &&
      t != LUA_TSTRING && lc_testany(L, arg) == NULL)
    lc_argerror(L, arg, "old", "a %s cannot be compared, use update",
                lc_nameof(L, arg));
}

/* ---- Updates ---- */

void ldict_wrote(lua_State *L, conc_dict *d, const conc_key *key) {
  lc_state *S = lc_get(L);
  if (lc_updating(S))
    lc_wrote_key(S, d, conc_key_hash(key, 0));
}

bool ldict_call(lua_State *L, conc_dict *d, const conc_key *key) {
  lc_state *S = lc_get(L);
  lc_update u;
  lc_update_begin(L, &u, d, conc_key_hash(key, 0));
  lua_call(L, 1, 1);
  return !lc_update_end(S, &u);
}
