#include "lua/names.h"

#include <string.h>

#include "lua/methods.h"

static const char known_key = 0, ids_key = 0, classes_key = 0, code_key = 0,
                  registered_key = 0;

void lc_pushknown(lua_State *L) { lc_pushtable(L, &known_key, "k"); }

/* ---- A filter before the table: 1024 bits by address ---- */

static unsigned bit_of(const void *p) {
  return (unsigned)(((uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15u) >> 54);
}

bool lc_mayknow(const lc_state *S, const void *p) {
  unsigned bit = bit_of(p);
  return (S->filter[bit / 64] >> (bit % 64) & 1) != 0;
}

static void mark(lua_State *L, int idx) {
  lc_state *S = lc_open(L);
  if (lua_type(L, idx) != LUA_TTABLE)
    return;
  unsigned bit = bit_of(lua_topointer(L, idx));
  S->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
}

/* ---- Names ---- */

/* Userdata has a name only when it is a module: a file that a module holds is
   as little of this library's business as any other one. */
static bool nameable(int type) {
  return type == LUA_TTABLE || type == LUA_TFUNCTION ||
         type == LUA_TLIGHTUSERDATA;
}

/* known[value on the top] = name below it, unless it has one; pops the value */
static void know(lua_State *L, int known, int name) {
  lua_pushvalue(L, -1);
  if (lua_rawget(L, known) == LUA_TNIL) {
    mark(L, -2);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, name);
    lua_rawset(L, known);
  }
  lua_pop(L, 2);
}

/* Push name .. NUL .. key */
static void push_longer(lua_State *L, int name, int key) {
  lua_pushvalue(L, name);
  lua_pushlstring(L, "", 1);
  lua_pushvalue(L, key);
  lua_concat(L, 3);
}

static bool is_globals(lua_State *L, int idx) {
  lua_pushvalue(L, idx);
  lua_pushglobaltable(L);
  bool yes = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return yes;
}

/*
 * Know what the table on the top holds under string keys.  Of _G only C
 * functions: what a script defines there is its own, not a library's.
 */
static void know_fields(lua_State *L, int known, int name, int depth,
                        bool global) {
  int t = lua_gettop(L);
  luaL_checkstack(L, 12, NULL);
  lua_pushnil(L);
  while (lua_next(L, t)) {
    int type = lua_type(L, -1);
    bool want = global ? lua_iscfunction(L, -1) : nameable(type);
    if (lua_type(L, -2) == LUA_TSTRING && want) {
      push_longer(L, name, t + 1);
      int longer = lua_gettop(L);
      lua_pushvalue(L, t + 2);
      know(L, known, longer);
      if (type == LUA_TTABLE && depth > 0 && !is_globals(L, t + 2)) {
        lua_pushvalue(L, t + 2);
        know_fields(L, known, longer, depth - 1, false);
        lua_pop(L, 1);
      }
    }
    lua_settop(L, t + 1);
  }
}

/* Know loaded[name at 'name'] itself. */
static void know_module(lua_State *L, int known, int loaded, int name) {
  lua_pushvalue(L, name);
  int type = lua_rawget(L, loaded);
  if (nameable(type) || type == LUA_TUSERDATA)
    know(L, known, name);
  else
    lua_pop(L, 1);
}

/* Know what loaded[name at 'name'] holds. */
static void know_contents(lua_State *L, int known, int loaded, int name) {
  lua_pushvalue(L, name);
  if (lua_rawget(L, loaded) == LUA_TTABLE) {
    bool global = is_globals(L, -1);
    /* package.preload and the like are this state's own. */
    bool shallow = global || strcmp(lua_tostring(L, name), "package") == 0;
    know_fields(L, known, name, shallow ? 0 : 1, global);
  }
  lua_pop(L, 1);
}

typedef void knower(lua_State *L, int known, int loaded, int name);

/* Tell 'f' of every module, those of the standard library first. */
static void each_module(lua_State *L, int known, int loaded, knower *f) {
  static const char *const first[] = {"_G",    "string", "table",     "math",
                                      "io",    "os",     "coroutine", "utf8",
                                      "debug", "package"};
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
    lua_pushstring(L, first[i]);
    f(L, known, loaded, lua_gettop(L));
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, loaded)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING)
      f(L, known, loaded, lua_gettop(L));
  }
}

uint64_t lc_fingerprint(lua_State *L, int idx) {
  uint64_t sum = 1;
  idx = lua_absindex(L, idx);
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    uint64_t value = (uint64_t)(uintptr_t)lua_topointer(L, -1);
    lua_pop(L, 1);
    uint64_t key = (uint64_t)(uintptr_t)lua_topointer(L, -1);
    uint64_t pair = (key ^ value * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    sum += (pair ^ pair >> 32) | 1;
  }
  return sum;
}

bool lc_refresh_names(lua_State *L, lc_state *S) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = top + 1;
  uint64_t print = lc_fingerprint(L, loaded);
  if (print == S->names) {
    lua_settop(L, top);
    return false;
  }
  S->names = print;
  lc_pushknown(L);
  int known = top + 2;
  /* A module may be in another's table: its own name comes first. */
  each_module(L, known, loaded, know_module);
  each_module(L, known, loaded, know_contents);
  lua_settop(L, top);
  return true;
}

/* Push module, from package.loaded only. */
static bool push_loaded(lua_State *L, const char *module, size_t len) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushlstring(L, module, len);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_toboolean(L, -1);
}

/* Replace the module on the top by what the rest of its name means there. */
static bool follow(lua_State *L, const char *rest, const char *end) {
  while (rest < end) {
    rest++; /* the NUL */
    const char *stop = memchr(rest, '\0', (size_t)(end - rest));
    stop = stop == NULL ? end : stop;
    if (lua_type(L, -1) != LUA_TTABLE)
      return false;
    lua_pushlstring(L, rest, (size_t)(stop - rest));
    lua_rawget(L, -2);
    lua_remove(L, -2);
    rest = stop;
  }
  return !lua_isnil(L, -1);
}

static const char *part_end(const char *name, const char *end) {
  const char *nul = memchr(name, '\0', (size_t)(end - name));
  return nul == NULL ? end : nul;
}

/* Of a name that begins with NUL: push the method table of the class. */
static const char *push_class_methods(lua_State *L, const char *name,
                                      const char *end) {
  const char *stop = part_end(name + 1, end);
  if (!lc_pushmethods(L, name + 1, (size_t)(stop - name - 1)))
    lua_pushnil(L);
  return stop;
}

bool lc_isnamed(lua_State *L, int idx, const char *name, size_t len) {
  const char *all = name + len, *end = part_end(name, all);
  int top = lua_gettop(L);
  idx = lua_absindex(L, idx);
  if (end == name && len > 0)
    end = push_class_methods(L, name, all);
  else
    push_loaded(L, name, (size_t)(end - name));
  bool same = follow(L, end, all) && lua_rawequal(L, -1, idx);
  lua_settop(L, top);
  return same;
}

bool lc_know_method(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  if (!lc_pushmethodname(L, idx))
    return false;
  lc_pushknown(L);
  lua_pushvalue(L, idx);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  return true;
}

/* Push the module whose name is [name, end), requiring it. */
static void push_module(lua_State *L, const char *name, const char *end) {
  if (push_loaded(L, name, (size_t)(end - name)))
    return;
  lua_pop(L, 1);
  int type = lua_getglobal(L, "require");
  lua_pushlstring(L, name, (size_t)(end - name));
  if (type != LUA_TFUNCTION)
    lc_error(L, "cannot receive module '%s': this state has no require",
             lua_tostring(L, -1));
  lua_call(L, 1, 1);
}

void lc_pushnamed(lua_State *L, const char *name, size_t len) {
  const char *all = name + len, *end = part_end(name, all);
  bool method = end == name && len > 0;
  luaL_checkstack(L, 8, NULL);
  if (method)
    end = push_class_methods(L, name, all);
  else
    push_module(L, name, end);
  if (!follow(L, end, all)) {
    lua_pushlstring(L, name + method, (size_t)(end - name) - method);
    if (method)
      lc_error(L, "cannot receive a method of class '%s': there is none",
               lua_tostring(L, -1));
    lc_error(L, "cannot receive a value of module '%s': it has no such field",
             lua_tostring(L, -1));
  }
}

/* ---- Blobs ---- */

void lc_know_blob(lua_State *L, int idx, conc_blob *blob) {
  idx = lua_absindex(L, idx);
  lc_pushknown(L);
  lua_pushvalue(L, idx);
  mark(L, idx);
  lc_newbox(L, &conc_blob_class)->obj = conc_retain(&blob->obj);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

uint64_t lc_class_id(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lc_pushtable(L, &ids_key, "k");
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  uint64_t id = (uint64_t)lua_tointeger(L, -1);
  lua_pop(L, 2);
  return id;
}

void lc_set_class_id(lua_State *L, int idx, uint64_t id) {
  idx = lua_absindex(L, idx);
  lc_pushtable(L, &ids_key, "k");
  lua_pushvalue(L, idx);
  lua_pushinteger(L, (lua_Integer)id);
  lua_rawset(L, -3);
  lc_pushtable(L, &classes_key, "v");
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, (lua_Integer)id);
  lua_pop(L, 2);
}

bool lc_push_class(lua_State *L, uint64_t id) {
  lc_pushtable(L, &classes_key, "v");
  lua_rawgeti(L, -1, (lua_Integer)id);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1))
    return true;
  lua_pop(L, 1);
  return false;
}

/* The function that was asked for last is found at once. */
static const char loaded_key = 0;

bool lc_push_code(lua_State *L, lc_state *S, uint64_t id) {
  if (S->loaded_id == id) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    return true;
  }
  lc_pushtable(L, &code_key, NULL);
  lua_rawgeti(L, -1, (lua_Integer)id);
  lua_remove(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
  S->loaded_id = id;
  return true;
}

/* Functions made without end (by load) must not stay for ever. */
enum { MOST_CODE = 4096 };

void lc_keep_code(lua_State *L, int idx, uint64_t id) {
  idx = lua_absindex(L, idx);
  lc_pushtable(L, &code_key, NULL);
  lua_Integer n =
    lua_rawgeti(L, -1, 0) == LUA_TNUMBER ? lua_tointeger(L, -1) : 0;
  lua_pop(L, 1);
  if (n == MOST_CODE) {
    n = 0;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &code_key);
  }
  lua_pushinteger(L, n + 1);
  lua_rawseti(L, -2, 0);
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, (lua_Integer)id);
  lua_pop(L, 1);
}

/* ---- Registered classes ---- */

void lc_pushregistered_name(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lc_pushtable(L, &registered_key, NULL);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

int lc_register(lua_State *L) {
  lc_nomore(L, 2);
  (void)lc_string(L, 1, "name", NULL);
  lc_table(L, 2, "metatable");
  lc_pushtable(L, &registered_key, NULL);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) != LUA_TNIL && !lua_rawequal(L, -1, 2))
    return lc_argerror(L, 1, "name", "registered for another metatable");
  lua_pop(L, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawset(L, -3);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_rawset(L, -3); /* and back: metatable -> name */
  mark(L, 2);
  lua_pushvalue(L, 2);
  return 1;
}

void lc_pushregistered(lua_State *L, const char *name, size_t len) {
  lc_pushtable(L, &registered_key, NULL);
  lua_pushlstring(L, name, len);
  if (lua_rawget(L, -2) != LUA_TTABLE) {
    lua_pushlstring(L, name, len);
    lc_error(L, "cannot receive an object of class '%s': not registered here",
             lua_tostring(L, -1));
  }
  lua_remove(L, -2);
}
