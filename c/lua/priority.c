#include "lua/priority.h"

#include <string.h>

#include "base/mem.h"

apr_status_t lc_make_priority(lua_State *L, int idx, conc_priority *p) {
  if (lua_isinteger(L, idx)) {
    *p = (conc_priority){.type = CONC_PRIO_INT};
    p->u.i = lua_tointeger(L, idx);
  } else if (lua_type(L, idx) == LUA_TNUMBER) {
    *p = (conc_priority){.type = CONC_PRIO_FLOAT};
    p->u.d = lua_tonumber(L, idx);
  } else {
    const char *s = lua_tolstring(L, idx, &p->u.str.len);
    p->type = CONC_PRIO_STRING;
    p->u.str.s = conc_alloc(p->u.str.len + 1);
    if (p->u.str.s == NULL)
      return APR_ENOMEM;
    memcpy(p->u.str.s, s, p->u.str.len);
  }
  return APR_SUCCESS;
}

static int push_string(lua_State *L) {
  const conc_priority *p = lua_touserdata(L, 1);
  lua_pushlstring(L, p->u.str.s, p->u.str.len);
  return 1;
}

bool lc_push_priority(lua_State *L, conc_priority *p) {
  bool ok = true;
  if (p->type == CONC_PRIO_INT) {
    lua_pushinteger(L, p->u.i);
  } else if (p->type == CONC_PRIO_FLOAT) {
    lua_pushnumber(L, p->u.d);
  } else {
    lua_pushcfunction(L, push_string);
    lua_pushlightuserdata(L, p);
    ok = lua_pcall(L, 1, 1, 0) == LUA_OK;
  }
  conc_priority_fini(p);
  *p = (conc_priority){.type = CONC_PRIO_INT};
  return ok;
}
