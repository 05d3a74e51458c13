/*
 * ex:map and ex:starmap, on the side of the caller; see lmap.h.
 *
 * Reference: Python's Executor.map (3.14), and Pool.starmap.
 */

#include "lua/bindings/lmap.h"

#include <string.h>

#include "lua/bindings/lmap_chunks.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

/*
 * The state of one map, in a userdata.  The iterator is a C function with
 * these upvalues after the state's: this, the results and the odd results of
 * the current chunk, the function, the input (a function), the executor.
 */
typedef struct map {
  lc_chunks chunks;     /* on their way */
  lua_Integer read;     /* items submitted so far */
  lua_Integer k, count; /* in the current chunk */
  lua_Integer base;     /* items before it */
  lua_Integer size;     /* of a chunk */
  bool measure;         /* the size is found by measuring */
  bool failed;          /* the input has raised; the error is the uservalue */
  bool fixed;           /* the window was given */
  lua_Integer window;   /* read on while fewer items are on their way; 0: the
                           input has ended */
  lua_Integer workers;
  conc_time deadline;
  conc_time patience; /* of this one call; 0: the deadline counts */
  int flags;
} map;

enum { MAP = 2, RESULTS, ODD, CALL, INPUT, EXECUTOR };

/* By measuring: items of a chunk at most; chunks for each worker in a sequence.
   Items for each worker that are read ahead, at first and at most: an input may
   be dear, or have effects. */
enum { MOST_ITEMS = 4096, PARTS = 32, WINDOW = 4, MOST_WINDOW = 32 };

static int up(int i) { return lua_upvalueindex(i); }

/* ---- Life ---- */

/* Cancel what has not started and forget the rest. */
static void abandon(map *m) {
  lc_chunks_fini(&m->chunks);
  m->k = m->count = 0;
  m->window = 0;
}

static int map_gc(lua_State *L) {
  abandon(lua_touserdata(L, 1));
  return 0;
}

static map *push_map(lua_State *L) {
  static const char key = 0;
  map *m = lua_newuserdatauv(L, sizeof *m, 2);
  memset(m, 0, sizeof *m);
  lc_setfinalizer(L, &key, map_gc);
  return m;
}

/* A watch for an unordered map, which the userdata at 'idx' keeps as well. */
static void make_watch(lua_State *L, map *m, int idx) {
  lc_box *box = lc_newbox(L, &conc_watch_class);
  if (conc_watch_new(&m->chunks.watch) != APR_SUCCESS)
    lc_fail(L, APR_ENOMEM);
  box->obj = conc_retain((conc_obj *)m->chunks.watch);
  lua_setiuservalue(L, idx, 2);
}

/* ---- Submitting ---- */

conc_future *lc_map_push_chunk(lua_State *L, lc_state *S, conc_pool *p,
                               int at) {
  lc_packing what = {
    .first = at, .last = lua_gettop(L), .name = "fn", .apart = at + 1};
  conc_future *f = lc_newfuture(L, S);
  f->kind = LC_TASK_CHUNK;
  f->quiet = true; /* each item tells its own error */
  lc_pack_task(L, S, p, &what, f);
  lua_replace(L, at);
  lua_settop(L, at);
  return f;
}

/* Submit the chunk on the stack: function, flags, items from 'at' on; pop it. */
static void submit_chunk(lua_State *L, map *m, conc_pool *p, int at) {
  lua_Integer count = lua_gettop(L) - at - 1;
  lc_chunks_reserve(L, &m->chunks);
  conc_future *f = lc_map_push_chunk(L, lc_get(L), p, at);
  lc_submit(L, p, f);
  /* What that ran may have used the room from before. */
  lc_chunks_reserve(L, &m->chunks);
  conc_retain(&f->obj);
  lc_chunks_put(&m->chunks, &(lc_chunk){f, count, m->read}, false);
  m->read += count;
  lua_settop(L, at - 1);
}

/* Push what a chunk begins with. */
static int begin_chunk(lua_State *L, const map *m, int fn) {
  luaL_checkstack(L, (int)m->size + 20, "chunksize is too large");
  lua_pushvalue(L, fn);
  lua_pushinteger(L, m->flags);
  return lua_gettop(L) - 1;
}

/* Submit all of the sequence at 'xs'. */
static void submit_sequence(lua_State *L, map *m, conc_pool *p, int fn,
                            int xs) {
  lua_Integer n = luaL_len(L, xs);
  for (lua_Integer i = 1; i <= n;) {
    int at = begin_chunk(L, m, fn);
    for (lua_Integer k = 0; k < m->size && i <= n; k++)
      lua_geti(L, xs, i++);
    submit_chunk(L, m, p, at);
  }
}

/* Where the parts of a map are on the stack, or as upvalues. */
typedef struct places {
  int map, fn, input;
} places;

/*
 * Push the next item; false: the input has ended.  Its error is kept, and
 * surfaces where the item would have come.
 */
static bool read_item(lua_State *L, map *m, const places *at) {
  lua_pushvalue(L, at->input);
  m->failed = lua_pcall(L, 0, 1, 0) != LUA_OK;
  if (!m->failed && !lua_isnil(L, -1))
    return true;
  m->window = 0;
  if (m->failed && (lc_get(L)->interrupted ||
                    lc_iserror(L, lua_gettop(L), "CancelledError")))
    lua_error(L); /* who takes the results is to stop */
  lua_setiuservalue(L, at->map, 1);
  return false;
}

/* Read on in the input until the window is full, or it ends. */
static void fill_window(lua_State *L, map *m, conc_pool *p, const places *is) {
  while (m->window > 0 && m->chunks.items < m->window) {
    int at = begin_chunk(L, m, is->fn);
    lua_Integer most = m->window - m->chunks.items;
    for (lua_Integer k = 0; k < m->size && k < most; k++)
      if (!read_item(L, m, is))
        break;
    if (lua_gettop(L) > at + 1)
      submit_chunk(L, m, p, at);
    lua_settop(L, at - 1);
  }
}

/* n items took so many ns: what chunks are to be from now on. */
static void learn(map *m, lua_Integer n, lua_Integer ns) {
  if (!m->measure || n <= 0)
    return;
  lua_Integer size = ns <= 0 ? MOST_ITEMS : LC_MAP_BATCH * n / ns;
  if (size > 2 * m->size)
    size = 2 * m->size; /* one cheap item says little of the next */
  lua_Integer ahead = m->fixed ? m->window : MOST_WINDOW * m->workers;
  lua_Integer most = ahead / (2 * m->workers);
  m->size = size > most ? most : size;
  if (m->size < 1)
    m->size = 1;
  if (m->window != 0 && !m->fixed)
    m->window = WINDOW * m->workers * m->size;
  if (m->window > ahead)
    m->window = ahead;
}

/* ---- Results ---- */

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

/* Push the results of a chunk that is done, as the current ones, and its parts:
   futures and counts; returns how many items it did. */
static lua_Integer take_results(lua_State *L, map *m, const lc_chunk *c) {
  int top = lua_gettop(L);
  lua_pushnil(L);
  lua_replace(L, up(ODD));
  if (conc_future_is(c->future) != CONC_FUTURE_FINISHED) {
    fail_chunk(L, c->future, c->count);
    return c->count;
  }
  lua_Integer ns, done = lc_chunk_results(L, c->future, &ns);
  learn(m, done, ns);
  lua_pushvalue(L, top + 1);
  lua_replace(L, up(RESULTS));
  lua_pushvalue(L, top + 2);
  lua_replace(L, up(ODD));
  lua_remove(L, top + 1);
  lua_remove(L, top + 1);
  return done;
}

/* The parts of a chunk, from 'at' on to the top, take its place. */
static void put_parts(lua_State *L, map *m, int at, lua_Integer base) {
  lc_chunk parts[LC_PIECE_MORE];
  int n = 0;
  for (; n < LC_PIECE_MORE && at < lua_gettop(L); n++, at += 2) {
    conc_future *f = (conc_future *)lc_testany(L, at);
    conc_retain(&f->obj);
    parts[n] = (lc_chunk){f, lua_tointeger(L, at + 1), base};
    base += parts[n].count;
  }
  while (n-- > 0)
    lc_chunks_put(&m->chunks, &parts[n], true);
}

/* Wait until the next chunk to give is done; as lc_chunks_await. */
static size_t await_chunk(lua_State *L, map *m) {
  size_t place;
  conc_time deadline = m->patience != 0 ? m->patience : m->deadline;
  if (lc_chunks_await(L, &m->chunks, deadline, &place) == APR_SUCCESS)
    return place;
  if (m->patience != 0)
    lc_throw(L, "TimeoutError", "the next result is not ready in time");
  abandon(m);
  lc_throw(L, "TimeoutError", "the results of map are not ready in time");
  return SIZE_MAX;
}

/* Make the next chunk the current one; false: there is none. */
static bool next_chunk(lua_State *L, map *m) {
  conc_executor *ex = lc_testexecutor(L, up(EXECUTOR));
  if (ex != NULL && m->window > 0)
    fill_window(L, m, ex->pool, &(places){up(MAP), up(CALL), up(INPUT)});
  if (m->chunks.n == 0 && m->failed) {
    m->failed = false;
    lua_getiuservalue(L, up(MAP), 1);
    lua_error(L);
  }
  size_t place = SIZE_MAX;
  while (place == SIZE_MAX) {
    if (m->chunks.n == 0)
      return false;
    lc_chunks_reserve(L, &m->chunks); /* for its parts */
    place = await_chunk(L, m);
  }
  lc_chunk c = m->chunks.list[place];
  lc_push(L, &c.future->obj); /* what is unpacked may use this iterator, too */
  int top = lua_gettop(L);
  m->k = m->count = 0;
  lua_Integer done = take_results(L, m, &c);
  if (m->chunks.n == 0 || m->chunks.list[place].future != c.future)
    return false; /* closed, or given to somebody else */
  (void)lc_chunks_take(&m->chunks, place); /* nothing raises from here on */
  put_parts(L, m, top + 1, c.base + done);
  m->base = c.base;
  m->count = done;
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

/*
 * The iterator: index and results, or the item's error.  A for loop calls it
 * with nil; Pool's imap may give a timeout, after which one can go on.
 */
static int next_item(lua_State *L) {
  map *m = lua_touserdata(L, up(MAP));
  m->patience = lua_isnoneornil(L, 1) ? 0 : lc_deadline(L, 1, "timeout");
  lua_settop(L, 0);
  while (m->k == m->count) /* of some chunks nothing was done */
    if (!next_chunk(L, m))
      return 0;
  lua_settop(L, 0);
  lua_Integer k = ++m->k;
  lua_pushinteger(L, m->base + k);
  if (!lua_isnil(L, up(ODD)))
    return odd_item(L, k);
  lua_rawgeti(L, up(RESULTS), k);
  return 2;
}

/* ---- The call ---- */

enum { CHUNK = 4, TIMEOUT, BUFFER, UNORDERED, PROGRESS };

/* The size of chunks as long as nothing was measured. */
static lua_Integer first_size(lua_State *L, const map *m, bool sequence) {
  if (!sequence)
    return 1;
  lua_Integer size = luaL_len(L, 3) / (m->workers * PARTS);
  return size < 1 ? 1 : size > MOST_ITEMS ? MOST_ITEMS : size;
}

static void read_options(lua_State *L, map *m, bool sequence) {
  static const char *const names[] = {"chunksize", "timeout",  "buffersize",
                                      "unordered", "progress", NULL};
  lc_options_at(L, 4, names);
  m->size = lc_optinteger(L, CHUNK, "chunksize", 0, 1, LC_MAP_MOST);
  m->deadline = lc_deadline(L, TIMEOUT, "timeout");
  m->window = lc_optinteger(L, BUFFER, "buffersize", 0, 1, LC_MAP_MOST);
  m->fixed = m->window != 0;
  if (m->size == 0) {
    m->flags |= LC_MAP_SPLIT;
    m->measure = true;
    m->size = m->fixed ? 1 : first_size(L, m, sequence);
  }
  if (m->window == 0 && !sequence)
    m->window = WINDOW * m->workers * m->size;
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

/* Put a progress bar, or what the option at PROGRESS says, around the iterator
   on the top; 'total' is how many items there are, or nil. */
static int with_progress(lua_State *L, int option, int total) {
  int top = lua_gettop(L) - 4;
  luaL_checkstack(L, 12, NULL);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.progress");
  lua_call(L, 1, 1);
  lua_pushvalue(L, option);
  lua_pushvalue(L, total);
  for (int i = 1; i <= 4; i++)
    lua_pushvalue(L, top + i);
  lua_call(L, 6, 4);
  return 4;
}

static int check_xs(lua_State *L) {
  bool sequence = lua_type(L, 3) == LUA_TTABLE;
  if (!sequence && lua_type(L, 3) != LUA_TFUNCTION)
    return lc_argerror(L, 3, "xs", "sequence or iterator expected, got %s",
                       lc_nameof(L, 3));
  if (!lua_isnoneornil(L, 4))
    lc_table(L, 4, "options");
  return sequence;
}

static bool wants_progress(lua_State *L) {
  if (lua_isnoneornil(L, PROGRESS) ||
      (lua_isboolean(L, PROGRESS) && !lua_toboolean(L, PROGRESS)))
    return false;
  if (!lua_isboolean(L, PROGRESS) && lua_type(L, PROGRESS) != LUA_TFUNCTION)
    lc_argerror(L, 4, "progress", "true or function expected, got %s",
                lc_nameof(L, PROGRESS));
  return true;
}

/*
 * ex:map(fn, xs [, options]): an iterator over index and results, in the order
 * of the input.  A sequence is submitted at the call; an iterator function, or
 * a sequence with a buffersize, is read as results are taken.  Options:
 * chunksize (items a message), timeout (seconds from the call), buffersize,
 * unordered, progress.
 */
static int start_map(lua_State *L, int flags) {
  conc_pool *p = lc_checkexecutor(L)->pool;
  map settings = {.flags = flags};
  settings.workers = (lua_Integer)conc_pool_conf_of(p)->max_workers;
  lc_self(L);
  lc_nomore(L, 4);
  lc_function(L, 2, "fn");
  bool sequence = check_xs(L) != 0;
  read_options(L, &settings, sequence);
  bool unordered = lc_optboolean(L, UNORDERED, "unordered", false);
  bool progress = wants_progress(L);
  lua_pushvalue(L, PROGRESS);
  if (sequence)
    lua_pushinteger(L, luaL_len(L, 3));
  else
    lua_pushnil(L);
  lua_rotate(L, 4, 2); /* the option at 4, the total at 5 */
  lua_settop(L, 5);
  lua_pushvalue(L, 3);
  if (sequence && settings.window > 0) {
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_of_sequence, 2); /* over the sequence */
    sequence = false;
  }
  lua_replace(L, 3);
  map *m = push_map(L);
  lua_insert(L, 4); /* map, option, total */
  *m = settings;
  if (unordered)
    make_watch(L, m, 4);
  if (sequence)
    submit_sequence(L, m, p, 2, 3);
  else
    fill_window(L, m, p, &(places){4, 2, 3});
  (void)push_iterator(L);
  return progress ? with_progress(L, 5, 6) : 4;
}

int lc_map(lua_State *L) { return start_map(L, 0); }
int lc_starmap(lua_State *L) { return start_map(L, LC_MAP_STAR); }
