/*
 * ex:map and ex:starmap.  Items travel in chunks: one message, one future and
 * one wake-up for many.  A chunk is
 *
 *   function, star (boolean: unpack each item), item 1, item 2 ...
 *
 * and its result two values: a table of single results by position; and nil,
 * or a table of what was not a single result: position -> {n = count, values}
 * or, of an error, {error = value, traceback = text}.
 *
 * Reference: Python's Executor.map (3.14), and Pool.starmap.
 */

#include <string.h>

#include "base/mem.h"
#include "lua/failure.h"
#include "lua/lexecutor.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

/* ---- In the worker ---- */

enum { FN = 2, STAR, ITEMS };

/* (function, item): call it with what the item holds */
static int call_star(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  if (lua_getfield(L, 2, "n") == LUA_TNUMBER)
    n = lua_tointeger(L, -1);
  lua_settop(L, 2);
  if (n < 0 || n > 100000)
    return luaL_error(L, "too many arguments");
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
  lua_createtable(L, 0, 2);
  lua_insert(L, -2);
  lua_setfield(L, -2, "error");
  lc_push_traceback(L);
  lua_setfield(L, -2, "traceback");
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

/* Call for item k; put what it returns where it belongs. */
static void do_item(lua_State *L, int handler, lua_Integer k) {
  int results = handler + 1, odd = handler + 2, top = lua_gettop(L);
  if (lua_toboolean(L, STAR))
    lua_pushcfunction(L, call_star);
  lua_pushvalue(L, FN);
  lua_pushvalue(L, ITEMS + (int)k - 1);
  int status = lua_pcall(L, lua_gettop(L) - top - 1, LUA_MULTRET, handler);
  if (status != LUA_OK && lc_was_stopped(L))
    lua_error(L);
  if (status != LUA_OK)
    set_error(L, odd, k);
  else if (lua_gettop(L) == top + 1)
    lua_rawseti(L, results, k);
  else
    set_values(L, odd, k, top);
  lua_settop(L, top);
}

/* (value): can it travel?  Raises. */
static int try_pack(lua_State *L) {
  conc_msg m;
  lc_pack(L, 1, 1, "result", &m);
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

/* (results, odd, message) */
static int pack_results(lua_State *L) {
  lc_pack(L, 1, 2, "result", lua_touserdata(L, 3));
  return 0;
}

static bool try_results(lua_State *L, int results, int odd, conc_msg *m) {
  lua_pushcfunction(L, pack_results);
  lua_pushvalue(L, results);
  lua_pushvalue(L, odd);
  lua_pushlightuserdata(L, m);
  return lua_pcall(L, 3, 0, 0) == LUA_OK;
}

void lc_do_chunk(lua_State *L, int n, conc_msg *result) {
  int handler = lua_gettop(L) + 1, results = handler + 1, odd = handler + 2;
  lua_Integer count = n - 2;
  luaL_checkstack(L, 12, NULL);
  lua_pushcfunction(L, lc_traceback);
  lua_createtable(L, (int)count, 0);
  lua_pushnil(L);
  for (lua_Integer k = 1; k <= count; k++)
    do_item(L, handler, k);
  if (try_results(L, results, odd, result))
    return;
  lua_settop(L, odd);
  weed(L, results, odd, count);
  if (!try_results(L, results, odd, result))
    lua_error(L);
}

/* ---- In the caller ---- */

/* A chunk on its way. */
typedef struct chunk {
  conc_future *future; /* a reference */
  lua_Integer count;
} chunk;

/*
 * The state of one map, in a userdata.  The iterator is a C function with
 * these upvalues after the state's: this, the results and the odd results of
 * the current chunk, the function, the input (a function), the executor.
 */
typedef struct map {
  chunk *chunks; /* a ring of 'room' */
  size_t first, n, room;
  conc_future *making;  /* of a chunk that is not submitted yet, or was not */
  lua_Integer index;    /* of the item that was given last */
  lua_Integer k, count; /* in the current chunk */
  lua_Integer size;     /* of a chunk */
  lua_Integer flying;   /* items submitted and not yet given */
  lua_Integer window;   /* read on while fewer fly; 0: the input has ended */
  conc_time deadline;
  bool star;
} map;

enum { MAP = 2, RESULTS, ODD, CALL, INPUT, EXECUTOR };

static int up(int i) { return lua_upvalueindex(i); }

static void drop_making(map *m) {
  if (m->making != NULL)
    conc_release(&m->making->obj);
  m->making = NULL;
}

/* Cancel what has not started and forget the rest. */
static void abandon(map *m) {
  drop_making(m);
  for (; m->n > 0; m->n--) {
    chunk *c = &m->chunks[m->first];
    (void)conc_future_cancel(c->future);
    conc_release(&c->future->obj);
    m->first = (m->first + 1) % m->room;
  }
  conc_free(m->chunks);
  m->chunks = NULL;
  m->room = m->first = 0;
  m->k = m->count = 0;
  m->window = 0;
}

static int map_gc(lua_State *L) {
  abandon(lua_touserdata(L, 1));
  return 0;
}

static map *push_map(lua_State *L) {
  static const char key = 0;
  map *m = lua_newuserdatauv(L, sizeof *m, 0);
  memset(m, 0, sizeof *m);
  lc_setfinalizer(L, &key, map_gc);
  return m;
}

/* Room for one chunk more; raises. */
static void make_room(lua_State *L, map *m) {
  if (m->n < m->room)
    return;
  size_t room = m->room == 0 ? 16 : 2 * m->room;
  chunk *bigger = conc_alloc(room * sizeof *bigger);
  if (bigger == NULL)
    lc_fail(L, APR_ENOMEM);
  for (size_t i = 0; i < m->n; i++)
    bigger[i] = m->chunks[(m->first + i) % m->room];
  conc_free(m->chunks);
  m->chunks = bigger;
  m->first = 0;
  m->room = room;
}

/* Submit the chunk on the stack: function, star, items from 'at' on; pop it. */
static void submit_chunk(lua_State *L, map *m, conc_pool *p, int at) {
  lc_packing what = {
    .first = at, .last = lua_gettop(L), .name = "fn", .apart = at + 1};
  lua_Integer count = lua_gettop(L) - at - 1;
  conc_msg msg;
  make_room(L, m);
  drop_making(m);
  apr_status_t st = conc_future_new(&m->making);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  lc_pack_with(L, lc_get(L), &what, &msg);
  conc_future *f = m->making;
  f->kind = LC_TASK_CHUNK;
  f->quiet = true; /* each item tells its own error */
  f->msg = msg;
  lc_submit(L, p, f);
  m->making = NULL;
  m->chunks[(m->first + m->n++) % m->room] = (chunk){f, count};
  m->flying += count;
  lua_settop(L, at - 1);
}

/* Submit all of the sequence at 'xs'. */
static void submit_sequence(lua_State *L, map *m, conc_pool *p, int fn,
                            int xs) {
  lua_Integer n = luaL_len(L, xs);
  luaL_checkstack(L, (int)m->size + 20, "chunksize is too large");
  for (lua_Integer i = 1; i <= n;) {
    int at = lua_gettop(L) + 1;
    lua_pushvalue(L, fn);
    lua_pushboolean(L, m->star);
    for (lua_Integer k = 0; k < m->size && i <= n; k++)
      lua_geti(L, xs, i++);
    submit_chunk(L, m, p, at);
  }
}

/* Read on in the input until the window is full, or it ends. */
static void fill_window(lua_State *L, map *m, conc_pool *p, int fn, int input) {
  luaL_checkstack(L, (int)m->size + 20, "chunksize is too large");
  while (m->window > 0 && m->flying < m->window) {
    int at = lua_gettop(L) + 1;
    lua_pushvalue(L, fn);
    lua_pushboolean(L, m->star);
    for (lua_Integer k = 0; k < m->size && m->window > 0; k++) {
      lua_pushvalue(L, input);
      lua_call(L, 0, 1);
      if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        m->window = 0;
      }
    }
    if (lua_gettop(L) > at + 1)
      submit_chunk(L, m, p, at);
    lua_settop(L, at - 1);
  }
}

/* Every item of a chunk that failed as a whole fails with its error. */
static void fail_chunk(lua_State *L, conc_future *f, lua_Integer count) {
  int top = lua_gettop(L);
  lc_push_error_of(L, f);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer k = 1; k <= count; k++) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, top + 1);
    lua_setfield(L, -2, "error");
    lua_rawseti(L, -2, k);
  }
  lua_replace(L, up(ODD));
  lua_settop(L, top);
}

static void await_chunk(lua_State *L, map *m, conc_future *f) {
  if (lc_await_future(L, f, m->deadline) == APR_SUCCESS)
    return;
  abandon(m);
  lc_throw(L, "TimeoutError", "the results of map are not ready in time");
}

/* The results of a chunk that is done become the current ones. */
static void take_results(lua_State *L, conc_future *f, lua_Integer count) {
  int top = lua_gettop(L);
  lua_pushnil(L);
  lua_replace(L, up(ODD));
  if (conc_future_is(f) != CONC_FUTURE_FINISHED) {
    fail_chunk(L, f, count);
    return;
  }
  lc_unpack_copy(L, &f->msg);
  lua_settop(L, top + 2);
  lua_replace(L, up(ODD));
  lua_replace(L, up(RESULTS));
}

/* Make the next chunk the current one; false: there is none. */
static bool next_chunk(lua_State *L, map *m) {
  conc_executor *ex =
    (conc_executor *)lc_test(L, up(EXECUTOR), &conc_executor_class);
  if (ex != NULL && m->window > 0)
    fill_window(L, m, ex->pool, up(CALL), up(INPUT));
  if (m->n == 0)
    return false;
  chunk c = m->chunks[m->first];
  await_chunk(L, m, c.future);
  take_results(L, c.future, c.count);
  m->first = (m->first + 1) % m->room;
  m->n--;
  m->flying -= c.count;
  m->k = 0;
  m->count = c.count;
  conc_release(&c.future->obj);
  return true;
}

/* Item k was perhaps not one plain result: its values, or its error. */
static int odd_item(lua_State *L, lua_Integer k) {
  if (lua_rawgeti(L, up(ODD), k) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawgeti(L, up(RESULTS), k);
    return 2;
  }
  int t = lua_gettop(L);
  if (lua_getfield(L, t, "n") == LUA_TNUMBER) {
    int n = (int)lua_tointeger(L, -1);
    luaL_checkstack(L, n + 4, "too many results");
    lua_pop(L, 1);
    for (int i = 1; i <= n; i++)
      lua_rawgeti(L, t, i);
    lua_remove(L, t);
    return n + 1;
  }
  lua_getfield(L, t, "error");
  return lua_error(L);
}

/* The iterator: index and results, or the item's error. */
static int next_item(lua_State *L) {
  map *m = lua_touserdata(L, up(MAP));
  lua_settop(L, 0);
  if (m->k == m->count && !next_chunk(L, m))
    return 0;
  lua_Integer k = ++m->k;
  lua_pushinteger(L, ++m->index);
  if (!lua_isnil(L, up(ODD)))
    return odd_item(L, k);
  lua_rawgeti(L, up(RESULTS), k);
  return 2;
}

/* ---- The call ---- */

enum { AUTO_CHUNKS = 32, MOST_ITEMS = 256, WINDOW = 4 };

/*
 * So many chunks for each worker that the last ones to finish are a small part
 * of the work, and not so large that a result is long in coming.
 */
static lua_Integer auto_size(lua_Integer n, size_t workers) {
  lua_Integer size = n / ((lua_Integer)workers * AUTO_CHUNKS);
  return size < 1 ? 1 : size > MOST_ITEMS ? MOST_ITEMS : size;
}

static void read_options(lua_State *L, map *m, size_t workers, bool sequence) {
  static const char *const names[] = {"chunksize", "timeout", "buffersize",
                                      NULL};
  enum { CHUNK = 4, TIMEOUT, BUFFER, MOST = 500000 };
  lc_options_at(L, 4, names);
  lua_Integer def = sequence ? auto_size(luaL_len(L, 3), workers) : 1;
  m->size = lc_optinteger(L, CHUNK, "chunksize", def, 1, MOST);
  m->deadline = lc_deadline(L, TIMEOUT, "timeout");
  m->window = lc_optinteger(L, BUFFER, "buffersize", 0, 1, MOST);
  if (m->window == 0 && !sequence)
    m->window = WINDOW * (lua_Integer)workers * m->size;
}

/* An iterator over a sequence, for a map that has a window. */
static int next_of_sequence(lua_State *L) {
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(2));
  lua_geti(L, lua_upvalueindex(1), i);
  return 1;
}

/* Push the iterator over map 4 and what a for loop wants after it. */
static int push_iterator(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 4);
  lua_pushnil(L); /* results */
  lua_pushnil(L); /* odd */
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, EXECUTOR);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 4);
  return 4;
}

/*
 * ex:map(fn, xs [, options]): an iterator over index and results, in the order
 * of the input.  A sequence is submitted at the call; an iterator function, or
 * a sequence with a buffersize, is read as results are taken.  Options:
 * chunksize (items a message), timeout (seconds from the call), buffersize.
 */
static int start_map(lua_State *L, bool star) {
  conc_pool *p = lc_checkexecutor(L)->pool;
  bool sequence = lua_type(L, 3) == LUA_TTABLE;
  map settings = {.star = star};
  lc_self(L);
  lc_nomore(L, 4);
  lc_function(L, 2, "fn");
  if (!sequence && lua_type(L, 3) != LUA_TFUNCTION)
    return lc_argerror(L, 3, "xs", "sequence or iterator expected, got %s",
                       lc_nameof(L, 3));
  if (!lua_isnoneornil(L, 4) && lua_type(L, 4) != LUA_TTABLE)
    return lc_argerror(L, 4, "options", "table expected, got %s",
                       lc_nameof(L, 4));
  read_options(L, &settings, conc_pool_conf_of(p)->max_workers, sequence);
  lua_settop(L, 3);
  if (sequence && settings.window > 0) {
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_of_sequence, 2); /* over the sequence at 3 */
    sequence = false;
  }
  map *m = push_map(L);
  *m = settings;
  if (sequence)
    submit_sequence(L, m, p, 2, 3);
  else
    fill_window(L, m, p, 2, 3);
  return push_iterator(L);
}

int lc_map(lua_State *L) { return start_map(L, false); }
int lc_starmap(lua_State *L) { return start_map(L, true); }
