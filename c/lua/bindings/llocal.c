/*
 * conc.threading: Local, an object whose fields are each thread's own.
 *
 * Each thread has a Lua state of its own, so the fields are a table in the state;
 * what is shared is only the identity, and the init function with its arguments.
 *
 * As long as one state is alone with a Local the table hangs on the userdata, and
 * goes with it.  A Local that others know may come again when no userdata of it
 * is left here, so then the table is in the registry, under the Local's life: a
 * word that says when the Local is gone, and outlives it.  Such tables are dropped
 * when new ones come, or with the state.  (So a field that leads back to a Local
 * that was elsewhere keeps it until the thread ends.)
 *
 * Reference: Python's threading.local.
 */

#include "lua/bindings/llocal.h"

#include <string.h>

#include "base/mem.h"
#include "lua/state.h"
#include "lua/types.h"

/* ---- Lives ---- */

struct lc_life {
  _Atomic uint32_t refs; /* the Local's, and each state's that lists it */
  conc_word gone;        /* [a] */
};

static void life_release(lc_life *life) {
  if (atomic_fetch_sub(&life->refs, 1) == 1)
    conc_free(life);
}

/* [c] all */
typedef struct local {
  conc_obj obj;
  lc_life *life; /* a reference */
  conc_msg init; /* function, arguments; or empty */
} local;

static void destroy(conc_obj *o) {
  local *l = (local *)o;
  atomic_store(&l->life->gone, 1);
  life_release(l->life);
  conc_msg_fini(&l->init);
  conc_obj_free(o);
}

static const conc_class local_class = {"Local", destroy};

static apr_status_t local_new(local **out) {
  local *l = conc_obj_new(&local_class, sizeof *l);
  if (l == NULL)
    return APR_ENOMEM;
  l->life = conc_alloc(sizeof *l->life);
  if (l->life == NULL) {
    conc_obj_free(&l->obj);
    return APR_ENOMEM;
  }
  *l->life = (lc_life){.refs = 1};
  *out = l;
  return APR_SUCCESS;
}

/* ---- Fields in the registry ---- */

static void push_registry(lua_State *L) {
  static const char key = 0;
  lc_pushtable(L, &key, NULL);
}

/* Drop the fields of Locals that are gone; the table of all is on the top. */
static void sweep(lua_State *L, lc_locals *all) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < all->n; i++) {
    lc_life *life = all->list[i];
    if (atomic_load(&life->gone) == 0) {
      all->list[n++] = life;
      continue;
    }
    lua_pushnil(L);
    lua_rawsetp(L, -2, life);
    life_release(life);
  }
  all->n = n;
  all->enough = n < 8 ? 16 : 2 * n;
}

static bool make_room(lc_locals *all) {
  if (all->n < all->room)
    return true;
  uint32_t room = all->room == 0 ? 8 : 2 * all->room;
  lc_life **list = conc_realloc(all->list, room * sizeof(lc_life *));
  if (list == NULL)
    return false;
  all->list = list;
  all->room = room;
  return true;
}

/* The fields on the top are to be found when the Local comes again. */
static void keep(lua_State *L, lc_state *S, const local *l) {
  lc_locals *all = &S->locals;
  if (S->closed) /* nobody would give the list back */
    return;
  push_registry(L);
  if (all->n >= all->enough)
    sweep(L, all);
  if (lua_rawgetp(L, -1, l->life) == LUA_TNIL) {
    if (!make_room(all))
      lc_fail(L, APR_ENOMEM);
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -3, l->life);
    atomic_fetch_add(&l->life->refs, 1);
    all->list[all->n++] = l->life;
  }
  lua_pop(L, 2);
}

/* Push the fields that were kept; or nothing, false. */
static bool push_kept(lua_State *L, const local *l) {
  push_registry(L);
  bool kept = lua_rawgetp(L, -1, l->life) == LUA_TTABLE;
  if (kept)
    lua_remove(L, -2);
  else
    lua_pop(L, 2);
  return kept;
}

void lc_local_leaves(lua_State *L, lc_state *S, int idx) {
  const local *l = (const local *)lc_testany(L, idx);
  luaL_checkstack(L, 6, NULL);
  if (lua_getiuservalue(L, idx, 1) == LUA_TTABLE)
    keep(L, S, l);
  lua_pop(L, 1);
}

void lc_locals_close(lc_locals *all) {
  for (uint32_t i = 0; i < all->n; i++)
    life_release(all->list[i]);
  conc_free(all->list);
  *all = (lc_locals){0};
}

/* ---- Fields ---- */

static void set_fields(lua_State *L) { lua_setiuservalue(L, 1, 1); }

/* Call init(l, ...) for the Local at 1. */
static void initialize(lua_State *L, local *l) {
  int top = lua_gettop(L);
  int n = lc_unpack_copy(L, &l->init);
  lua_pushvalue(L, 1);
  lua_insert(L, top + 2);
  if (lua_pcall(L, n, 0, 0) == LUA_OK)
    return;
  lua_pushnil(L); /* the next use tries again */
  set_fields(L);
  push_registry(L);
  lua_pushnil(L);
  lua_rawsetp(L, -2, l->life);
  lua_pop(L, 1);
  lua_error(L);
}

/* Push this thread's fields, making them at the first use. */
static void push_fields(lua_State *L) {
  local *l = lc_check(L, 1, &local_class);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  if (push_kept(L, l)) {
    lua_pushvalue(L, -1);
    set_fields(L);
    return;
  }
  lua_newtable(L);
  lua_pushvalue(L, -1);
  set_fields(L);
  if (atomic_load(&l->obj.refs) > 1)
    keep(L, lc_get(L), l);
  if (l->init.size != 0)
    initialize(L, l);
}

static int get(lua_State *L) {
  push_fields(L);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int set(lua_State *L) {
  push_fields(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

static int step(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

/* pairs(l): this thread's fields */
static int all(lua_State *L) {
  lua_pushcfunction(L, step);
  push_fields(L);
  lua_pushnil(L);
  return 3;
}

static const luaL_Reg metamethods[] = {
  {"__index", get}, {"__newindex", set}, {"__pairs", all}, {NULL, NULL}};

const lc_type lc_local_type = {&local_class, NULL, metamethods, NULL, 1, false};

/* Local([init [, args]]): init(l, table.unpack(args)) runs in each thread that
   uses it, before the first use there */
int lc_local(lua_State *L) {
  static const char *const names[] = {"init", "args", NULL};
  lc_options(L, names);
  lc_box *box = lc_newbox(L, &local_class);
  local *l;
  if (local_new(&l) != APR_SUCCESS)
    return lc_fail(L, APR_ENOMEM);
  box->obj = &l->obj;
  if (lua_isnil(L, 1) && lua_isnil(L, 2))
    return 1;
  lc_function(L, 1, "init");
  int n = lua_isnil(L, 2) ? 0 : lc_countargs(L, 2, 2, "args");
  luaL_checkstack(L, n + 10, "too many args");
  lua_pushvalue(L, 1);
  for (int i = 1; i <= n; i++)
    lua_geti(L, 2, i);
  conc_msg m;
  lc_pack(L, 4, 4 + n, "init", &m);
  l->init = m;
  lua_settop(L, 3);
  return 1;
}
