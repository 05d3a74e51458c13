#include "lua/wire.h"

#include "lua/reader.h"
#include "lua/state.h"

static int wire_gc(lua_State *L) {
  conc_wire_fini(lua_touserdata(L, 1));
  return 0;
}

conc_wire *lc_newwire(lua_State *L) {
  static const char key = 0;
  luaL_checkstack(L, 6, NULL);
  conc_wire *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (conc_wire){0};
  lc_setfinalizer(L, &key, wire_gc);
  return w;
}

int lc_wire_fail(lua_State *L, apr_status_t st, const conc_class *what,
                 const char *name) {
  if (st == CONC_MISUSE && what == &conc_blob_class)
    return lc_error(L, "%s: classes nested too deeply", name);
  if (st == CONC_MISUSE)
    return lc_error(L, "%s: a class holds a %s, which cannot leave the process",
                    name, what->name);
  return lc_fail(L, st);
}

conc_wire *lc_pushwire(lua_State *L, conc_msg *m, const char *name) {
  const conc_class *what;
  conc_wire *w = lc_newwire(L);
  apr_status_t st = conc_wire_encode(w, m, &what);
  if (st != APR_SUCCESS)
    lc_wire_fail(L, st, what, name);
  return w;
}

conc_wire *lc_pack_wire(lua_State *L, int first, int last, const char *name) {
  const lc_packing r = {
    .first = first, .last = last, .name = name, .wire = true};
  conc_msg m;
  lc_pack_with(L, lc_open(L), &r, &m);
  conc_msg *owned = lc_pushmsg(L, &m);
  conc_wire *w = lc_pushwire(L, owned, name);
  conc_msg_fini(owned);
  lua_remove(L, -2);
  return w;
}

int lc_unpack_wire(lua_State *L, const conc_wire *w, bool trusted) {
  conc_msg m;
  apr_status_t st = conc_wire_decode(&m, w, trusted);
  if (st == APR_EINVAL)
    return lc_error(L, "corrupt message");
  if (APR_STATUS_IS_EACCES(st))
    return lc_error(L, LC_NOT_PLAIN);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  if (trusted)
    return lc_unpack(L, &m);
  conc_msg *owned = lc_pushmsg(L, &m);
  int top = lua_gettop(L);
  int n = lc_unpack_plain(L, owned);
  conc_msg_fini(owned);
  lua_remove(L, top);
  return n;
}
