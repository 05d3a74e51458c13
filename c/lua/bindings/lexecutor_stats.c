/* ex:stats() */

#include "lua/bindings/lexecutor.h"

static void set_integer(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, int64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

static void push_worker(lua_State *L, const conc_worker_stats *w) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, w->name);
  lua_setfield(L, -2, "name");
  set_integer(L, "tasks", w->tasks);
  set_integer(L, "running", w->running);
  set_seconds(L, "startup", w->startup);
  set_seconds(L, "wait", w->waited);
  set_seconds(L, "work", w->worked);
}

static void push_slowest(lua_State *L, const conc_pool_stats *s) {
  lua_createtable(L, (int)s->nslow, 0);
  for (size_t i = 0; i < s->nslow; i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, s->slow[i].name);
    lua_setfield(L, -2, "name");
    set_seconds(L, "seconds", s->slow[i].ns);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/*
 * ex:stats(): a table of queued, running, done, failed, cancelled (tasks),
 * workers (a sequence of {name, tasks, running, startup, wait, work}) and
 * slowest (a sequence of {name, seconds}); times are in seconds.
 */
int lc_executor_stats(lua_State *L) {
  enum { FEW = 64 };
  conc_pool *p = lc_checkexecutor(L)->pool;
  conc_pool_stats stats;
  lc_nomore(L, 1);
  size_t room = FEW, n = 0;
  conc_worker_stats *list = NULL;
  for (bool all = false; !all; room = n + FEW) {
    list = lua_newuserdatauv(L, room * sizeof *list, 0);
    n = conc_pool_look(p, &stats, list, room);
    all = n <= room;
  }
  lua_createtable(L, 0, 8);
  set_integer(L, "queued", stats.queued);
  set_integer(L, "running", stats.running);
  set_integer(L, "cancelled", stats.ended[0]);
  set_integer(L, "done", stats.ended[1]);
  set_integer(L, "failed", stats.ended[2]);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) { /* the newest comes first */
    push_worker(L, &list[n - 1 - i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "workers");
  push_slowest(L, &stats);
  lua_setfield(L, -2, "slowest");
  return 1;
}
