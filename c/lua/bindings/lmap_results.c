/* What came of a chunk of a map; see lmap.h and piece.h. */

#include "lua/bindings/lmap.h"
#include "lua/failure.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/types.h"

/* ---- For maps and pools ---- */

/* t[base + k] = from[k] for k up to n; 'from' may be nil. */
static void move_results(lua_State *L, int from, int to, lua_Integer base,
                         lua_Integer n) {
  for (lua_Integer k = 1; k <= n && !lua_isnil(L, from); k++) {
    lua_rawgeti(L, from, k);
    lua_rawseti(L, to, base + k);
  }
}

static lua_Integer push_pieces(lua_State *L, lc_piece *p, lua_Integer *ns) {
  int results = lua_gettop(L) + 1, odd = results + 1;
  lua_Integer done = 0;
  lua_newtable(L);
  lua_newtable(L);
  for (size_t i = 0; i < p->n; i++) {
    lc_unpack_copy(L, &p->parts[i]);
    lua_Integer n = lua_tointeger(L, odd + 3);
    *ns += lua_tointeger(L, odd + 4);
    move_results(L, odd + 1, results, done, n);
    move_results(L, odd + 2, odd, done, n);
    done += n;
    lua_settop(L, odd);
  }
  for (int i = 0; i < LC_PIECE_MORE; i++) {
    if (p->more[i] == NULL)
      continue;
    lc_push(L, &p->more[i]->obj);
    lua_pushinteger(L, p->counts[i]);
  }
  return done;
}

lua_Integer lc_chunk_results(lua_State *L, conc_future *f, lua_Integer *ns) {
  int at = lua_gettop(L) + 1;
  lc_piece *p = lc_piece_of(f);
  *ns = 0;
  luaL_checkstack(L, 16, NULL);
  if (p != NULL)
    return push_pieces(L, p, ns);
  lc_unpack_copy(L, &f->msg);
  lua_Integer done = lua_tointeger(L, at + 2);
  *ns = lua_tointeger(L, at + 3);
  lua_remove(L, at + 2);
  lua_remove(L, at + 2);
  return done;
}

/* ---- For pools: conc/pool.lua ---- */

/* submit_chunk(executor, fn, star, items, first, last): the future of these
   items, which are done as one chunk */
static int submit_chunk(lua_State *L) {
  conc_pool *p = lc_checkexecutor(L)->pool;
  lua_Integer first = luaL_checkinteger(L, 5), last = luaL_checkinteger(L, 6);
  luaL_checktype(L, 4, LUA_TTABLE);
  luaL_argcheck(L, last - first < LC_MAP_MOST, 6, "too many items");
  luaL_checkstack(L, (int)(last - first) + 20, "too many items");
  lua_settop(L, 6);
  lua_pushvalue(L, 2);
  lua_pushinteger(L, lua_toboolean(L, 3) ? LC_MAP_STAR : 0);
  for (lua_Integer i = first; i <= last; i++)
    lua_geti(L, 4, i);
  lc_submit(L, p, lc_map_push_chunk(L, lc_get(L), p, 7));
  return 1;
}

static conc_future *check_future(lua_State *L) {
  return lc_check(L, 1, &conc_future_class);
}

/* chunk_results(future): results, odd results or nil, how many items it did
   itself; raises the error of one that has failed */
static int chunk_results(lua_State *L) {
  conc_future *f = check_future(L);
  lua_Integer ns;
  lua_settop(L, 1);
  if (!conc_future_done(f))
    return lc_error(L, "the chunk is not done");
  if (conc_future_is(f) != CONC_FUTURE_FINISHED) {
    lc_push_error_of(L, f);
    return lua_error(L);
  }
  lua_Integer done = lc_chunk_results(L, f, &ns);
  lua_settop(L, 3);
  lua_pushinteger(L, done);
  return 3;
}

/* chunk_parts(future): the futures that do what it has not done, in order; none
   of one that is not a chunk */
static int chunk_parts(lua_State *L) {
  lc_piece *p = lc_piece_of(check_future(L));
  lua_settop(L, 1);
  for (int i = 0; p != NULL && i < LC_PIECE_MORE; i++)
    if (p->more[i] != NULL)
      lc_push(L, &p->more[i]->obj);
  return lua_gettop(L) - 1;
}

const luaL_Reg lc_chunk_functions[] = {{"submit_chunk", submit_chunk},
                                       {"chunk_results", chunk_results},
                                       {"chunk_parts", chunk_parts},
                                       {NULL, NULL}};
