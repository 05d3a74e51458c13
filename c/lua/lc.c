#include "lua/lc.h"

#include <apr_strings.h>
#include <math.h>
#include <string.h>

#include "core/deadlock.h"
#include "ipc/heap.h"
#include "lua/callback.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

/* ---- Boxes ---- */

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
    return luaL_argerror(
      L, arg, lua_pushfstring(L, "%s expected, this one is closed", cls->name));
  return luaL_typeerror(L, arg, cls->name);
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

static int box_tostring(lua_State *L) {
  lc_box *b = lc_isbox(L, 1);
  if (b == NULL)
    return luaL_typeerror(L, 1, "object of conc");
  conc_obj *o = lc_content(b);
  if (o == NULL)
    lua_pushliteral(L, "(closed)");
  else
    lua_pushfstring(L, "%s: %p", o->cls->name, (void *)o);
  return 1;
}

static const luaL_Reg common[] = {
  {"__eq", box_eq}, {"__tostring", box_tostring}, {NULL, NULL}};

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

static void make_metatable(lua_State *L, const lc_type *t) {
  lua_createtable(L, 0, 8);
  lc_setfuncs(L, common);
  if (!t->owned)
    lc_setfuncs(L, finalizer);
  if (t->metamethods != NULL)
    lc_setfuncs(L, t->metamethods);
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

static lc_box *push_box(lua_State *L, int uservalues) {
  lc_box *b = lua_newuserdatauv(L, sizeof *b, uservalues);
  *b = (lc_box){.mark = lc_mark(b)};
  return b;
}

lc_box *lc_newbox(lua_State *L, const conc_class *cls) {
  const lc_type *t = type_of(cls);
  luaL_checkstack(L, 6, NULL);
  lc_box *b = push_box(L, t->uservalues);
  lc_pushmetatable(L, t);
  lua_setmetatable(L, -2);
  return b;
}

void lc_newowned(lua_State *L, conc_obj *o, int owner) {
  const lc_type *t = type_of(o->cls);
  owner = lua_absindex(L, owner);
  luaL_checkstack(L, 6, NULL);
  lc_box *b = push_box(L, 1);
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
  lc_box *b = push_box(L, 0);
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

void lc_setfuncs(lua_State *L, const luaL_Reg *list) {
  lua_pushlightuserdata(L, lc_open(L));
  luaL_setfuncs(L, list, 1);
}

/* ---- Arguments ---- */

int lc_argerror(lua_State *L, int arg, const char *name, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  lua_pushfstring(L, "%s: ", name);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, 2);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}

const char *lc_nameof(lua_State *L, int idx) {
  const char *name = luaL_typename(L, idx); /* none: "no value" */
  int type = luaL_getmetafield(L, idx, "__name");
  if (type == LUA_TSTRING)
    name = lua_tostring(L, -1); /* the metatable keeps it */
  if (type != LUA_TNIL)
    lua_pop(L, 1);
  return name;
}

static int wrong_type(lua_State *L, int arg, const char *name,
                      const char *expected) {
  return lc_argerror(L, arg, name, "%s expected, got %s", expected,
                     lc_nameof(L, arg));
}

void lc_nomore(lua_State *L, int n) {
  int got = lua_gettop(L);
  if (got > n)
    luaL_argerror(L, n + 1, "surplus argument");
}

/* Is 'key' (on the top) one of the names? Its index, or -1. */
static int name_index(lua_State *L, const char *const names[]) {
  if (lua_type(L, -1) != LUA_TSTRING)
    return -1;
  const char *key = lua_tostring(L, -1);
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(key, names[i]) == 0)
      return i;
  return -1;
}

void lc_check_options(lua_State *L, int table, const char *const names[]) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (name_index(L, names) < 0)
      luaL_argerror(
        L, table,
        lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -1, NULL)));
  }
}

void lc_options_at(lua_State *L, int first, const char *const names[]) {
  int n = 0;
  while (names[n] != NULL)
    n++;
  luaL_checkstack(L, n + 4, NULL);
  if (lua_gettop(L) != first || lua_type(L, first) != LUA_TTABLE) {
    lc_nomore(L, first - 1 + n);
    lua_settop(L, first - 1 + n);
    return;
  }
  lc_check_options(L, first, names);
  for (int i = 0; i < n; i++)
    lua_getfield(L, first, names[i]);
  lua_remove(L, first);
}

void lc_options(lua_State *L, const char *const names[]) {
  lc_options_at(L, 1, names);
}

conc_time lc_deadline(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg))
    return CONC_FOREVER;
  if (lua_type(L, arg) != LUA_TNUMBER)
    wrong_type(L, arg, name, "number of seconds");
  lua_Number s = lua_tonumber(L, arg);
  if (isnan(s))
    lc_argerror(L, arg, name, "must not be NaN");
  if (s < 0)
    lc_argerror(L, arg, name, "must not be negative");
  return conc_after(s);
}

lua_Integer lc_integer(lua_State *L, int arg, const char *name, lua_Integer lo,
                       lua_Integer hi) {
  int whole = 0;
  lua_Integer n = 0;
  if (lua_type(L, arg) == LUA_TNUMBER)
    n = lua_tointegerx(L, arg, &whole);
  else
    wrong_type(L, arg, name, "integer");
  if (!whole)
    lc_argerror(L, arg, name, "number has no integer representation");
  if (n < lo)
    lc_argerror(L, arg, name, "must be at least %I", (LUAI_UACINT)lo);
  if (n > hi)
    lc_argerror(L, arg, name, "must be at most %I", (LUAI_UACINT)hi);
  return n;
}

lua_Integer lc_optinteger(lua_State *L, int arg, const char *name,
                          lua_Integer def, lua_Integer lo, lua_Integer hi) {
  return lua_isnoneornil(L, arg) ? def : lc_integer(L, arg, name, lo, hi);
}

bool lc_optboolean(lua_State *L, int arg, const char *name, bool def) {
  if (lua_isnoneornil(L, arg))
    return def;
  if (lua_type(L, arg) != LUA_TBOOLEAN)
    wrong_type(L, arg, name, "boolean");
  return lua_toboolean(L, arg);
}

void lc_any(lua_State *L, int arg, const char *name) {
  if (lua_isnone(L, arg))
    lc_argerror(L, arg, name, "value expected");
}

void lc_function(lua_State *L, int arg, const char *name) {
  if (lua_type(L, arg) == LUA_TFUNCTION)
    return;
  if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    wrong_type(L, arg, name, "function");
  lua_pop(L, 1);
}

int lc_countargs(lua_State *L, int idx, int arg, const char *name) {
  if (lua_type(L, idx) != LUA_TTABLE)
    lc_argerror(L, arg, name, "table expected, got %s", lc_nameof(L, idx));
  int type = lua_getfield(L, idx, "n");
  if (type != LUA_TNIL && !lua_isinteger(L, -1))
    lc_argerror(L, arg, name, "its field n is no integer");
  lua_Integer n =
    type == LUA_TNIL ? (lua_Integer)lua_rawlen(L, idx) : lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (n < 0 || n > 10000)
    lc_argerror(L, arg, name, "0 to 10000 of them expected");
  return (int)n;
}

static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *lc_totext(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lua_pushcfunction(L, to_text);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) { /* its __tostring did */
    lua_pop(L, 1);
    lua_pushfstring(L, "%s: %p", lc_nameof(L, idx), lua_topointer(L, idx));
  }
  return lua_tostring(L, -1);
}

/* ---- Waiting ---- */

conc_parker *lc_self(lua_State *L) {
  lc_state *S = lc_get(L);
  if (S->self == NULL)
    luaL_error(L, "conc: this state is closing");
  if (lc_has_news(S))
    lc_attend(L, S);
  S->running = L;
  S->interrupted = false;
  return S->self;
}

conc_parker *lc_idle(lc_state *S) {
  S->running = NULL;
  return S->self;
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/*
 * A hook was set while we waited: lua.c does so from its signal handler, and
 * the hook raises "interrupted!".  Calling any function runs it.  It stands on
 * the main coroutine, so it moves over when another one waits.  When it has
 * not raised and still stands it goes back, and is a debugger's: no news from
 * now on.  One that has removed itself is news when it comes again.
 */
static void run_hook(lua_State *L, lc_state *S) {
  lua_State *main = S->main;
  lua_Hook hook = lua_gethook(main), own = lua_gethook(L);
  int mask = lua_gethookmask(main), count = lua_gethookcount(main);
  int ownmask = lua_gethookmask(L), owncount = lua_gethookcount(L);
  if (hook == NULL)
    return;
  if (L != main) {
    lua_sethook(main, NULL, 0, 0);
    lua_sethook(L, hook, mask, count);
  }
  S->interrupted = true;
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
  S->interrupted = false;
  if (L != main) {
    bool stands = lua_gethook(L) == hook;
    lua_sethook(L, own, ownmask, owncount);
    if (stands && lua_gethook(main) == NULL)
      lua_sethook(main, hook, mask, count);
  }
  S->hook = lua_gethook(main);
}

bool lc_again(lua_State *L, apr_status_t st) {
  if (st == CONC_INTERRUPTED) {
    lc_attend(L, lc_get(L));
    run_hook(L, lc_get(L));
    lc_get(L)->running = L;
    return true;
  }
  if (st == CONC_CANCELLED) {
    lc_cancelled(L, lc_get(L));
    return true;
  }
  if (st == CONC_DEADLOCK) {
    char text[2000];
    conc_deadlock_text(lc_get(L)->root, text, sizeof text);
    lc_throw(L, "DeadlockError", "all threads wait for each other:%s", text);
  }
  return false;
}

static const char *word(apr_status_t st) {
  if (APR_STATUS_IS_TIMEUP(st))
    return "timeout";
  return st == CONC_CLOSED ? "closed" : NULL;
}

int lc_outcome(lua_State *L, apr_status_t st) {
  if (st == APR_SUCCESS) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (word(st) == NULL)
    return lc_fail(L, st);
  lua_pushnil(L);
  lua_pushstring(L, word(st));
  return 2;
}

int lc_truth(lua_State *L, apr_status_t st) {
  int n = lc_outcome(L, st);
  if (n == 2) {
    lua_pushboolean(L, 0);
    lua_replace(L, -3);
  }
  return n;
}

int lc_fail(lua_State *L, apr_status_t st) {
  char text[120];
  if (APR_STATUS_IS_ENOMEM(st)) {
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  if (st == CONC_EXHAUSTED && conc_heap_left())
    return luaL_error(L, "shared memory is not to be had: this process was "
                         "forked after conc had made it");
  if (st == CONC_EXHAUSTED)
    return lc_throw(L, "SharedMemoryError", "no shared memory left");
  if (word(st) != NULL)
    return luaL_error(L, "%s", word(st));
  return luaL_error(L, "%s", apr_strerror(st, text, sizeof text));
}
