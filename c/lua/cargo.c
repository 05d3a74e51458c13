#include "lua/cargo.h"

#include <string.h>

#include "lua/pack.h"
#include "lua/selectable.h"
#include "lua/state.h"
#include "lua/wire.h"
#include "lua/writer.h"

int lc_cargo_outcome(lua_State *L, apr_status_t st) {
  if (st == CONC_CORRUPT || st == APR_EINVAL)
    return luaL_error(L, "corrupt message");
  return lc_outcome(L, st);
}

/* ---- Sending ---- */

/* A value on its way.  What load.data points at is msg's, or anchored. */
struct cargo {
  conc_load load;
  conc_msg msg;
  conc_wire *wire; /* anchored; done with as soon as it is sent, or NULL */
  unsigned char head[16]; /* of a long string */
};

/* A long string goes from where it is. */
static bool load_string(lua_State *L, int idx, struct cargo *c) {
  enum { LONG = 1 << 12 };
  if (lua_type(L, idx) != LUA_TSTRING || lua_rawlen(L, idx) < LONG)
    return false;
  unsigned char *p = c->head;
  c->load.data = lua_tolstring(L, idx, &c->load.size);
  *p++ = LC_VERSION | LC_PLAIN;
  *p++ = LC_STRING;
  uint64_t n = c->load.size;
  for (; n >= 0x80; n >>= 7)
    *p++ = (unsigned char)((n & 0x7f) | 0x80);
  *p++ = (unsigned char)n;
  c->load.head = c->head;
  c->load.nhead = (size_t)(p - c->head);
  return true;
}

/* Push what keeps the message alive, in the form that leaves the process. */
static void load_wire(lua_State *L, const char *name, struct cargo *c) {
  conc_msg *own = lc_pushmsg(L, &c->msg);
  conc_wire *w = lc_pushwire(L, own, name);
  conc_msg_fini(own);
  c->wire = w;
  c->load.data = w->data;
  c->load.size = w->size;
  c->load.shared = w->shared;
  c->load.nshared = w->nshared;
  c->load.tag = CONC_CARGO_WIRE;
}

static void load(lua_State *L, int idx, const char *name, struct cargo *c) {
  c->load = (conc_load){.tag = CONC_CARGO_PLAIN};
  c->msg.size = c->msg.nrefs = c->msg.heap = 0;
  c->wire = NULL;
  if (load_string(L, idx, c))
    return;
  lc_pack_away(L, idx, name, &c->msg);
  if (c->msg.nrefs != 0) {
    load_wire(L, name, c);
    return;
  }
  c->load.data = conc_msg_data(&c->msg);
  c->load.size = c->msg.size;
}

/* It has to wait, and a wait may raise. */
static apr_status_t send_slowly(lua_State *L, conc_ring *r, struct cargo *c,
                                conc_time deadline) {
  apr_status_t st;
  bool plain = c->msg.size != 0;
  conc_msg *own = lc_pushmsg(L, &c->msg);
  if (plain)
    c->load.data = conc_msg_data(own);
  do
    st = conc_ring_push(r, &c->load, lc_self(L), deadline);
  while (lc_again(L, st));
  conc_msg_fini(own);
  return st;
}

apr_status_t lc_cargo_send(lua_State *L, conc_ring *r, int idx,
                           const char *name, conc_time deadline) {
  struct cargo c;
  load(L, idx, name, &c);
  apr_status_t st = conc_ring_push(r, &c.load, NULL, CONC_NOW);
  if (APR_STATUS_IS_TIMEUP(st) && deadline != CONC_NOW)
    st = send_slowly(L, r, &c, deadline);
  conc_msg_fini(&c.msg);
  if (c.wire != NULL)
    conc_wire_fini(c.wire);
  return st;
}

/* Its bytes are a string of Lua's, which stays on the stack. */
apr_status_t lc_cargo_send_bytes(lua_State *L, conc_ring *r, const char *s,
                                 size_t len) {
  const conc_load l = {.data = s, .size = len, .tag = CONC_CARGO_BYTES};
  apr_status_t st;
  do
    st = conc_ring_push(r, &l, lc_self(L), CONC_FOREVER);
  while (lc_again(L, st));
  return st;
}

/* ---- Receiving ---- */

apr_status_t lc_cargo_take(lua_State *L, conc_ring *r, conc_item *item,
                           uint32_t tags, conc_time deadline) {
  conc_parker *self = lc_self(L);
  apr_status_t st;
  luaL_checkstack(L, 8, NULL); /* nothing may raise while an item is at hand */
  do
    st = conc_ring_pop_tagged(r, item, tags, self, deadline);
  while (st != APR_SUCCESS && lc_again(L, st));
  return st;
}

static int push_wire(lua_State *L, const conc_item *item) {
  conc_msg m;
  apr_status_t st = conc_cargo_decode(&m, item);
  return st == APR_SUCCESS ? lc_unpack(L, &m) : lc_cargo_outcome(L, st);
}

static int push_plain(lua_State *L, const conc_item *item) {
  conc_msg m;
  if (item->size <= CONC_MSG_INLINE) { /* the short way of lc_unpack */
    m.size = item->size;
    m.nrefs = 0;
    m.heap = false;
    memcpy(m.u.bytes, item->data, item->size);
    return lc_unpack(L, &m);
  }
  conc_cargo_view(&m, item);
  return lc_unpack_copy(L, &m);
}

static int push_value(lua_State *L, const conc_item *item) {
  if (item->tag > CONC_CARGO_WIRE)
    return luaL_error(L, "corrupt message");
  int n =
    item->tag == CONC_CARGO_WIRE ? push_wire(L, item) : push_plain(L, item);
  return n == 1 ? 1 : luaL_error(L, "corrupt message");
}

/* (item) */
static int protected_value(lua_State *L) {
  return push_value(L, lua_touserdata(L, 1));
}

/* (item) */
static int protected_bytes(lua_State *L) {
  const conc_item *item = lua_touserdata(L, 1);
  lua_pushlstring(L, (const char *)item->data, item->size);
  return 1;
}

/* Call f(item), and be done with the item whatever is raised. */
static int with_item(lua_State *L, lua_CFunction f, conc_item *item) {
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, item);
  int failed = lua_pcall(L, 1, 1, 0);
  conc_item_fini(item);
  return failed ? lua_error(L) : 1;
}

int lc_cargo_push(lua_State *L, conc_item *item) {
  return item->place == NULL ? push_value(L, item)
                             : with_item(L, protected_value, item);
}

int lc_cargo_push_bytes(lua_State *L, conc_item *item) {
  return with_item(L, protected_bytes, item);
}

/* ---- As cases of select ---- */

/* Only to see now that it can leave the process. */
static void check_wire(lua_State *L, const char *name, conc_msg *m) {
  if (m->nrefs == 0)
    return;
  conc_wire_fini(lc_pushwire(L, m, name));
  lua_pop(L, 1);
}

void lc_make_ring_push(lua_State *L, int number, int idx, conc_case *c) {
  lua_getfield(L, idx, "put");
  const char *name = lua_pushfstring(L, "bad case %d: put", number);
  lc_pack_away(L, lua_gettop(L) - 1, name, &c->msg);
  check_wire(L, name, &c->msg);
  lua_pop(L, 2);
}

int lc_give_cargo(lua_State *L, int idx, conc_case *c) {
  (void)idx;
  if (c->seen != CONC_CARGO_BYTES)
    return lc_unpack(L, &c->msg);
  conc_msg *own = lc_pushmsg(L, &c->msg);
  lua_pushlstring(L, (const char *)conc_msg_data(own), own->size);
  conc_msg_fini(own);
  return 1;
}
