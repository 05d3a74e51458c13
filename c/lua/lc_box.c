/* Boxes, and the tables of a state that hold them. */

#include <string.h>

#include "lua/lc.h"
#include "lua/types.h"

/* Keys in the registry: the address is the key. */
static const char objects_key = 0;

static const lc_type *type_of(const conc_class *cls) {
  const lc_type *const *t = lc_types;
  while (*t != NULL && (*t)->cls != cls)
    t++;
  return *t;
}

conc_obj *lc_testany(lua_State *L, int arg) {
  lc_box *b = lc_isbox(L, arg);
  return b == NULL ? NULL : lc_content(b);
}

int lc_typeerror(lua_State *L, int arg, const conc_class *cls) {
  lc_box *b = lc_isbox(L, arg);
  if (b != NULL && lc_content(b) == NULL)
    return lc_badarg(
      L, arg, lua_pushfstring(L, "%s expected, this one is closed", cls->name));
  return lc_badarg(
    L, arg,
    lua_pushfstring(L, "%s expected, got %s", cls->name, lc_nameof(L, arg)));
}

static int box_gc(lua_State *L) {
  lc_box *b = lc_isbox(L, 1);
  if (b == NULL || b->obj == NULL || b->owner != NULL)
    return 0;
  conc_obj *o = b->obj;
  const lc_type *t = type_of(o->cls);
  b->obj = NULL;
  if (t->dropped != NULL)
    t->dropped(o);
  conc_release(o);
  return 0;
}

static int box_eq(lua_State *L) {
  conc_obj *a = lc_testany(L, 1);
  lua_pushboolean(L, a != NULL && a == lc_testany(L, 2));
  return 1;
}

/* "Class: address", "Class (closed)", or what the type's own, the second
   upvalue, says. */
static int box_tostring(lua_State *L) {
  lc_box *b = lc_isbox(L, 1);
  if (b == NULL)
    return luaL_typeerror(L, 1, "object of conc");
  conc_obj *o = lc_content(b);
  if (o == NULL) {
    lua_pushfstring(L, "%s (closed)", lc_nameof(L, 1));
  } else if (lua_isnoneornil(L, lua_upvalueindex(2))) {
    lua_pushfstring(L, "%s: %p", o->cls->name, (void *)o);
  } else {
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
  }
  return 1;
}

static const luaL_Reg common[] = {{"__eq", box_eq}, {NULL, NULL}};

static const luaL_Reg finalizer[] = {{"__gc", box_gc}, {NULL, NULL}};

/* An __index of the type's own gets the method table as second upvalue. */
static void set_index(lua_State *L, const lc_type *t) {
  lua_newtable(L);
  if (t->methods != NULL)
    lc_setfuncs(L, t->methods);
  for (const luaL_Reg *r = t->metamethods; r != NULL && r->name != NULL; r++) {
    if (strcmp(r->name, "__index") != 0)
      continue;
    lua_pushlightuserdata(L, lc_open(L));
    lua_insert(L, -2);
    lua_pushcclosure(L, r->func, 2);
  }
  lua_setfield(L, -2, "__index");
}

static void set_tostring(lua_State *L) {
  lua_pushlightuserdata(L, lc_open(L));
  lua_getfield(L, -2, "__tostring");
  lua_pushcclosure(L, box_tostring, 2);
  lua_setfield(L, -2, "__tostring");
}

static void make_metatable(lua_State *L, const lc_type *t) {
  lua_createtable(L, 0, 8);
  lc_setfuncs(L, common);
  if (!t->owned)
    lc_setfuncs(L, finalizer);
  if (t->metamethods != NULL)
    lc_setfuncs(L, t->metamethods);
  set_tostring(L);
  set_index(L, t);
  lua_pushstring(L, t->cls->name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, t);
}

void lc_pushmetatable(lua_State *L, const lc_type *t) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, t) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  make_metatable(L, t);
}

lc_box *lc_pushbox(lua_State *L, int uservalues) {
  lc_box *b = lua_newuserdatauv(L, sizeof *b, uservalues);
  *b = (lc_box){.mark = lc_mark(b)};
  return b;
}

lc_box *lc_newbox(lua_State *L, const conc_class *cls) {
  const lc_type *t = type_of(cls);
  luaL_checkstack(L, 6, NULL);
  lc_box *b = lc_pushbox(L, t->uservalues);
  lc_pushmetatable(L, t);
  lua_setmetatable(L, -2);
  return b;
}

void lc_newowned(lua_State *L, conc_obj *o, int owner) {
  const lc_type *t = type_of(o->cls);
  owner = lua_absindex(L, owner);
  luaL_checkstack(L, 6, NULL);
  lc_box *b = lc_pushbox(L, 1);
  b->obj = o;
  b->owner = lua_touserdata(L, owner);
  lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
  lc_pushmetatable(L, t);
  lua_setmetatable(L, -2);
}

void lc_pushtable(lua_State *L, const void *key, const char *mode) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void lc_setfinalizer(lua_State *L, const void *key, lua_CFunction gc) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__close");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
  lua_setmetatable(L, -2);
}

/* Push a box with a reference of its own to an object whose type has none. */
static void push_holder(lua_State *L, conc_obj *o) {
  static const char key = 0;
  lc_box *b = lc_pushbox(L, 0);
  lc_setfinalizer(L, &key, box_gc);
  b->obj = conc_retain(o);
}

/* Push a new box with a reference of its own, by itself or by its owner. */
static void push_another(lua_State *L, conc_obj *o) {
  if (type_of(o->cls)->owned) {
    push_holder(L, o);
    lc_newowned(L, o, -1);
    lua_remove(L, -2);
  } else {
    lc_newbox(L, o->cls)->obj = conc_retain(o);
  }
}

void lc_pushobjects(lua_State *L) { lc_pushtable(L, &objects_key, "v"); }

void lc_remember(lua_State *L, int idx) {
  conc_obj *o = lc_testany(L, idx);
  idx = lua_absindex(L, idx);
  lc_pushobjects(L);
  lua_pushvalue(L, idx);
  lua_rawsetp(L, -2, o);
  lua_pop(L, 1);
}

void lc_push(lua_State *L, conc_obj *o) {
  luaL_checkstack(L, 8, NULL);
  lc_pushobjects(L);
  if (lua_rawgetp(L, -1, o) != LUA_TUSERDATA ||
      lc_testany(L, -1) != o) { /* finalized, and not yet collected */
    lua_pop(L, 1);
    push_another(L, o);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, o);
  }
  lua_remove(L, -2);
}

void lc_drop_snapshot(lc_snapshot *s) {
  for (size_t i = 0; i < s->n; i++)
    conc_release(s->list[i]);
  s->n = 0;
}

static int snapshot_gc(lua_State *L) {
  lc_drop_snapshot(lua_touserdata(L, 1));
  return 0;
}

lc_snapshot *lc_push_snapshot(lua_State *L,
                              size_t (*take)(void *from, conc_obj **list,
                                             size_t room),
                              void *from) {
  static const char key = 0;
  for (size_t room = 64;; room *= 2) {
    lc_snapshot *s =
      lua_newuserdatauv(L, sizeof *s + room * sizeof *s->list, 0);
    s->n = 0;
    lc_setfinalizer(L, &key, snapshot_gc);
    size_t n = take(from, s->list, room);
    s->n = n < room ? n : room;
    if (n <= room)
      return s;
    lua_pop(L, 1);
  }
}

void lc_setfuncs(lua_State *L, const luaL_Reg *list) {
  lua_pushlightuserdata(L, lc_open(L));
  luaL_setfuncs(L, list, 1);
}
