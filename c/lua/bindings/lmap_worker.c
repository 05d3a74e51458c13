/* Doing a chunk of a map. */

#include "lua/bindings/lmap.h"
#include "lua/bindings/lmap_chunks.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

enum { FN = 2, FLAGS, ITEMS };

/* A chunk that is being done.  Items count from 1. */
typedef struct chunk {
  const lc_state *S;
  lc_stream *stream;      /* where to it is sent, or NULL */
  int handler;            /* on the stack; results, odd, count, ns follow */
  lua_Integer k, last;    /* the item that it is at, the last one */
  lua_Integer begun;      /* items before those in the results */
  conc_time since;        /* when the first of those began */
  conc_time looked;       /* at the clock ... */
  lua_Integer next, step; /* ... to be done after this item, and so many more */
} chunk;

/* ---- One item ---- */

/* (function, item): call it with what the item holds */
static int call_star(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  if (lua_getfield(L, 2, "n") == LUA_TNUMBER)
    n = lua_tointeger(L, -1);
  lua_settop(L, 2);
  if (n < 0 || n > 100000)
    return lc_error(L, "too many arguments");
  luaL_checkstack(L, (int)n + 4, "too many arguments");
  lua_insert(L, 1); /* item, function */
  for (lua_Integer i = 1; i <= n; i++)
    lua_rawgeti(L, 1, i);
  lua_call(L, (int)n, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* odd[k] = the table on the top; 'odd' is made when it is nil */
static void set_odd(lua_State *L, int odd, lua_Integer k) {
  if (lua_isnil(L, odd)) {
    lua_newtable(L);
    lua_replace(L, odd);
  }
  lua_rawseti(L, odd, k);
}

/* The error value on the top was raised by item k. */
static void set_error(lua_State *L, int odd, lua_Integer k) {
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "error");
  set_odd(L, odd, k);
}

/* The values above 'top' are what item k returned. */
static void set_values(lua_State *L, int odd, lua_Integer k, int top) {
  int n = lua_gettop(L) - top;
  lua_createtable(L, n, 1);
  lua_insert(L, top + 1);
  for (int i = n; i > 0; i--)
    lua_rawseti(L, top + 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, top + 1, "n");
  set_odd(L, odd, k);
}

/*
 * Call for item k; put what it returns where it belongs.  A chunk that is told
 * to stop ends with the item, also if that has caught what it was told.
 */
static void do_item(lua_State *L, const chunk *c) {
  lua_Integer k = c->k - c->begun;
  int handler = c->handler, results = handler + 1, odd = handler + 2,
      top = lua_gettop(L);
  if ((lua_tointeger(L, FLAGS) & LC_MAP_STAR) != 0)
    lua_pushcfunction(L, call_star);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, ITEMS + (int)c->k - 1);
  int status = lua_pcall(L, lua_gettop(L) - top - 1, LUA_MULTRET, handler);
  if (status != LUA_OK && lc_must_end(L))
    lua_error(L);
  if (c->S->task->told)
    lc_end_here(L);
  if (status != LUA_OK)
    set_error(L, odd, k);
  else if (lua_gettop(L) == top + 1)
    lua_rawseti(L, results, k);
  else
    set_values(L, odd, k, top);
  lua_settop(L, top);
}

/* ---- Splitting ---- */

/* A chunk of the items first..last of the arguments of make_rest; its future
   and count stay on the stack. */
static conc_future *make_part(lua_State *L, int first, int last) {
  int at = lua_gettop(L) + 1;
  lc_state *S = lc_open(L);
  conc_future *f;
  luaL_checkstack(L, last - first + 10, NULL);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  for (int i = first; i <= last; i++)
    lua_pushvalue(L, i);
  f = lc_map_push_chunk(L, S, S->pooled->pool, at);
  lua_pushinteger(L, last - first + 1);
  return f;
}

/* (function, flags, items ...): two chunks of them, if there are two: future
   and count of the one that comes first, and of the other */
static int make_rest(lua_State *L) {
  conc_worker *w = lc_open(L)->pooled;
  int last = lua_gettop(L), half = 3 + (last - 3) / 2;
  conc_future *a = make_part(L, 3, half), *b = NULL;
  if (half < last)
    b = make_part(L, half + 1, last);
  if (b != NULL) /* nothing raises any more */
    conc_pool_split(w, b);
  conc_pool_split(w, a);
  return lua_gettop(L) - last;
}

/* Split the items first..last off, leaving futures and counts on the stack;
   false: it cannot be done. */
static bool split(lua_State *L, lua_Integer first, lua_Integer last) {
  int top = lua_gettop(L);
  luaL_checkstack(L, (int)(last - first) + 10, NULL);
  lua_pushcfunction(L, make_rest);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, FLAGS);
  for (lua_Integer i = first; i <= last; i++)
    lua_pushvalue(L, ITEMS + (int)i - 1);
  if (lua_pcall(L, (int)(last - first) + 3, LUA_MULTRET, 0) == LUA_OK)
    return true;
  lua_settop(L, top);
  return false;
}

/* Is it time to end the chunk after k of n items? */
static bool is_long(const lc_state *S, lua_Integer k, lua_Integer n) {
  if (k == n || ((k & (k - 1)) != 0 && k % 64 != 0))
    return false; /* looking at the clock costs as much as a small item */
  return S->pooled != NULL && conc_sys_now() - S->task->begin > LC_MAP_BATCH;
}

/* Does nobody want the rest? */
static bool is_left(const lc_state *S) {
  return (conc_future_asked(S->task->future) & CONC_ASK_LEAVE) != 0;
}

/* ---- The chunk ---- */

/* (value): can it travel?  Raises. */
static int try_pack(lua_State *L) {
  conc_msg m;
  lc_pack_answer(L, 1, 1, "result", &m);
  conc_msg_fini(&m);
  return 0;
}

/* Replace each result that cannot travel by its error. */
static void weed(lua_State *L, int results, int odd, lua_Integer n) {
  int top = lua_gettop(L);
  for (lua_Integer k = 1; k <= n; k++)
    for (int t = results; t <= odd; t++) {
      if (!lua_istable(L, t))
        continue;
      lua_pushcfunction(L, try_pack);
      lua_rawgeti(L, t, k);
      if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        luaL_tolstring(L, -1, NULL);
        set_error(L, odd, k);
        lua_pushnil(L);
        lua_rawseti(L, results, k);
      }
      lua_settop(L, top);
    }
}

/* (message, results, odd, ...) */
static int pack_results(lua_State *L) {
  lc_pack_answer(L, 2, lua_gettop(L), "result", lua_touserdata(L, 1));
  return 0;
}

/* Pack what is on the stack from 'results' on. */
static bool try_results(lua_State *L, int results, conc_msg *m) {
  int n = lua_gettop(L) - results + 1;
  lua_pushcfunction(L, pack_results);
  lua_pushlightuserdata(L, m);
  for (int i = 0; i < n; i++)
    lua_pushvalue(L, results + i);
  return lua_pcall(L, n + 1, 0, 0) == LUA_OK;
}

/* Make *m of what was done since the last time. */
static void pack_done(lua_State *L, const chunk *c, conc_msg *m) {
  int results = c->handler + 1, odd = c->handler + 2;
  lua_pushinteger(L, c->k - c->begun);
  lua_replace(L, odd + 1);
  lua_pushinteger(L, conc_sys_now() - c->since);
  lua_replace(L, odd + 2);
  if (try_results(L, results, m))
    return;
  lua_pop(L, 1); /* the error */
  weed(L, results, odd, c->k - c->begun);
  if (!try_results(L, results, m))
    lua_error(L);
}

/* ---- Sending what is done ---- */

/* Is it time to?  Looking at the clock costs as much as a small item. */
static bool is_due(chunk *c) {
  enum { MOST_STEP = 64, FINE = LC_MAP_BATCH / 16 };
  if (c->k < c->next)
    return false;
  conc_time now = conc_sys_now();
  c->step = now - c->looked > FINE ? 1
            : c->step < MOST_STEP  ? 2 * c->step
                                   : c->step;
  c->looked = now;
  c->next = c->k + c->step;
  return now - c->since > LC_MAP_BATCH;
}

static void send_done(lua_State *L, chunk *c) {
  conc_msg m;
  lc_items items = {(uint32_t)c->begun, (uint32_t)c->k};
  pack_done(L, c, &m);
  apr_status_t st = c->stream->send(c->stream, &m, items);
  conc_msg_fini(&m);
  if (st == CONC_MISUSE)
    lc_error(L, "result: holds what cannot leave the process");
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  lua_newtable(L);
  lua_replace(L, c->handler + 1);
  lua_pushnil(L);
  lua_replace(L, c->handler + 2);
  c->begun = c->k;
  c->since = c->looked;
}

/* ---- The whole ---- */

static void begin_chunk(chunk *c, lua_Integer items) {
  c->last = items;
  c->since = c->looked = c->S->task->begin;
  if (c->S->stream == NULL || c->S->stream->task != c->S->task->future)
    return;
  c->stream = c->S->stream;
  if (c->stream->range.to != 0 && c->stream->range.to < items)
    c->last = c->stream->range.to;
  if (c->stream->range.from < c->last)
    c->k = c->begun = c->stream->range.from;
}

/* An item has been done.  True: the chunk is to end. */
static bool after_item(lua_State *L, chunk *c, bool *whole) {
  if (c->stream != NULL && c->k < c->last && is_due(c))
    send_done(L, c);
  if (*whole || !is_long(c->S, c->k, c->last))
    return false;
  *whole = true;
  return is_left(c->S) || split(L, c->k + 1, c->last);
}

void lc_do_chunk(lua_State *L, int n, conc_msg *result) {
  chunk c = {.S = lc_open(L), .handler = lua_gettop(L) + 1, .step = 1};
  bool whole = (lua_tointeger(L, FLAGS) & LC_MAP_SPLIT) == 0;
  begin_chunk(&c, n - 2);
  luaL_checkstack(L, 24, NULL);
  lua_pushcfunction(L, lc_traceback);
  lua_createtable(L, (int)(c.last - c.k), 0);
  lua_pushnil(L);
  lua_pushnil(L); /* how many, how long */
  lua_pushnil(L);
  while (c.k < c.last) {
    c.k++;
    if (c.stream != NULL)
      atomic_store_explicit(c.stream->at,
                            (uint64_t)c.last << 32 | (uint64_t)c.k,
                            memory_order_relaxed); /* read after its end */
    do_item(L, &c);
    if (after_item(L, &c, &whole))
      break;
  }
  pack_done(L, &c, result);
}
