#include "lua/bindings/lend.h"

/*
 * A string on loan is kept by a userdata with a reference to the loan.  When
 * the userdata is finalized, at the end of the state or before, it settles: the
 * string is there until all finalizers have run.
 */
typedef struct lent {
  conc_loan *loan;
} lent;

/* In the registry: a table of loan (a light userdata) -> lent; true -> true
   while a watch is set. */
static const char table_key = 0;

static void end(lent *x) {
  conc_loan *l = x->loan;
  x->loan = NULL;
  if (l != NULL) {
    conc_loan_settle(l);
    conc_release((conc_obj *)l);
  }
}

static int lent_gc(lua_State *L) {
  end(lua_touserdata(L, 1));
  return 0;
}

/*
 * Let go what everybody has received; true: something is left.  The table is
 * on the top.
 */
static bool sweep(lua_State *L, int table) {
  bool left = false;
  lua_pushnil(L);
  for (; lua_next(L, table); lua_settop(L, table + 1)) {
    lent *x = lua_touserdata(L, table + 2);
    if (x == NULL)
      continue;
    if (x->loan != NULL && !conc_loan_idle(x->loan)) {
      left = true;
      continue;
    }
    end(x);
    lua_pushnil(L);
    lua_setiuservalue(L, table + 2, 1); /* it need not wait for x to go */
    lua_pushvalue(L, table + 1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
  return left;
}

static int watch_gc(lua_State *L);

/* Garbage from the start: it is finalized at the end of the next collection. */
static void set_watch(lua_State *L, int table) {
  static const char key = 0;
  lua_newuserdatauv(L, 0, 0);
  lc_setfinalizer(L, &key, watch_gc);
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
  lua_pushboolean(L, 1);
  lua_rawset(L, table);
}

static int watch_gc(lua_State *L) {
  lua_settop(L, 0);
  lc_pushtable(L, &table_key, NULL);
  lua_pushboolean(L, 1);
  lua_pushnil(L);
  lua_rawset(L, 1);
  if (sweep(L, 1))
    set_watch(L, 1);
  return 0;
}

static bool is_watched(lua_State *L, int table) {
  lua_pushboolean(L, 1);
  bool yes = lua_rawget(L, table) != LUA_TNIL;
  lua_pop(L, 1);
  return yes;
}

conc_loan *lc_lend(lua_State *L, int idx) {
  static const char key = 0;
  size_t len;
  const char *s = lua_tolstring(L, idx, &len);
  int top = lua_gettop(L), table = top + 1;
  idx = lua_absindex(L, idx);
  luaL_checkstack(L, 10, NULL);
  lc_pushtable(L, &table_key, NULL);
  sweep(L, table);
  lent *x = lua_newuserdatauv(L, sizeof *x, 1);
  x->loan = NULL;
  lc_setfinalizer(L, &key, lent_gc);
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, 1);
  /* Once there is a watch the collector does not run until the end of this: it
     would have the watch see nothing to stay for. */
  if (!is_watched(L, table))
    set_watch(L, table);
  x->loan = conc_loan_new(s, len);
  if (x->loan == NULL)
    lc_fail(L, APR_ENOMEM);
  lua_rawsetp(L, table, x->loan);
  lua_settop(L, top);
  return x->loan;
}

typedef struct view {
  const char *bytes;
  size_t size;
} view;

static int push_view(lua_State *L) {
  const view *v = lua_touserdata(L, 1);
  lua_pushlstring(L, v->bytes, v->size);
  return 1;
}

/*
 * What happens while it is borrowed must be short: the collector, which may run
 * finalizers, is told to wait, and of the memory afterwards.
 */
void lc_pushlent(lua_State *L, conc_loan *l) {
  view v;
  luaL_checkstack(L, 4, NULL);
  v.bytes = conc_loan_borrow(l, &v.size);
  if (v.bytes == NULL)
    lc_fail(L, APR_ENOMEM);
  bool runs = lua_gc(L, LUA_GCISRUNNING) != 0;
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, push_view);
  lua_pushlightuserdata(L, &v);
  int failed = lua_pcall(L, 1, 1, 0);
  conc_loan_return(l, v.bytes);
  if (runs) {
    lua_gc(L, LUA_GCRESTART);
    lua_gc(L, LUA_GCSTEP, (int)(v.size >> 10 & 0x3fffff));
  }
  if (failed)
    lua_error(L);
}
