/* conc.threading: who runs, and what holds for all threads. */

#include "lua/bindings/lthread.h"
#include "lua/state.h"
#include "lua/types.h"

/* A host may use its state from several OS threads, one after another. */
static conc_thread *foreign(lua_State *L, lc_state *S) {
  static const char foreign_key = 0;
  uint64_t tid = conc_sys_tid();
  lc_pushtable(L, &foreign_key, NULL);
  if (lua_rawgeti(L, -1, (lua_Integer)tid) == LUA_TNIL) {
    conc_thread *t;
    lua_pop(L, 1);
    lua_pushfstring(L, "Dummy-%I", (LUAI_UACINT)conc_root_count(S->root));
    lc_box *box = lc_newbox(L, &conc_thread_class);
    apr_status_t st =
      conc_thread_adopt(&t, S->root, lua_tostring(L, -2), S->self);
    if (st != APR_SUCCESS)
      lc_fail(L, st);
    t->daemon = true;
    box->obj = &t->obj;
    lc_remember(L, -1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, (lua_Integer)tid);
  }
  return (conc_thread *)lc_testany(L, -1);
}

static conc_thread *current(lua_State *L) {
  lc_state *S = lc_get(L);
  lc_self(L);
  if (S->worker || conc_sys_tid() == S->tid)
    return S->thread;
  return foreign(L, S);
}

/* current_thread(): the Thread that runs the caller */
static int current_thread(lua_State *L) {
  lc_nomore(L, 0);
  lc_push(L, &current(L)->obj);
  return 1;
}

/* main_thread(): the Thread of the state that a host made */
static int main_thread(lua_State *L) {
  lc_nomore(L, 0);
  lc_self(L);
  lc_box *box = lc_newbox(L, &conc_thread_class);
  conc_thread *t = conc_root_main(lc_get(L)->root);
  if (t == NULL) {
    lua_pop(L, 1);
    return 0;
  }
  box->obj = &t->obj; /* until it is in the box that it has here */
  lc_push(L, &t->obj);
  return 1;
}

static size_t take_threads(void *root, conc_obj **list, size_t room) {
  return conc_root_threads(root, list, room);
}

/* enumerate(): a sequence of the threads that are alive, main first */
static int enumerate(lua_State *L) {
  lc_nomore(L, 0);
  conc_thread *me = current(L);
  lua_settop(L, 0); /* the registry keeps it */
  main_thread(L);
  lua_createtable(L, 8, 0);
  lua_Integer n = 0;
  if (lua_isuserdata(L, -2)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, ++n);
  }
  int list = lua_gettop(L);
  lc_snapshot *s = lc_push_snapshot(L, take_threads, lc_get(L)->root);
  for (size_t i = 0; i < s->n; i++) {
    if (((conc_thread *)s->list[i])->helper)
      continue;
    lc_push(L, s->list[i]);
    lua_rawseti(L, list, ++n);
  }
  lc_drop_snapshot(s);
  if (me->foreign && me != lc_get(L)->thread) {
    lc_push(L, &me->obj);
    lua_rawseti(L, list, ++n);
  }
  lua_settop(L, list);
  return 1;
}

/* active_count(): how many enumerate() lists */
static int active_count(lua_State *L) {
  enumerate(L);
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
  return 1;
}

static int get_ident(lua_State *L) {
  lc_nomore(L, 0);
  lua_pushinteger(L, (lua_Integer)current(L)->ident);
  return 1;
}

static int get_native_id(lua_State *L) {
  lc_nomore(L, 0);
  lua_pushinteger(L, (lua_Integer)conc_sys_tid());
  return 1;
}

/* stack_size([bytes]): set that of later threads (0: default); the old one */
static int stack_size(lua_State *L) {
  lc_state *S = lc_get(L);
  lc_nomore(L, 1);
  lc_self(L);
  size_t old = conc_root_stack(S->root);
  if (!lua_isnoneornil(L, 1)) {
    lthread_stack(L, S, 1);
    conc_root_set_stack(S->root, (size_t)lua_tointeger(L, 1));
  }
  lua_pushinteger(L, (lua_Integer)old);
  return 1;
}

const luaL_Reg lc_thread_functions[] = {{"current_thread", current_thread},
                                        {"main_thread", main_thread},
                                        {"enumerate", enumerate},
                                        {"active_count", active_count},
                                        {"get_ident", get_ident},
                                        {"get_native_id", get_native_id},
                                        {"stack_size", stack_size},
                                        {"excepthook", lc_excepthook},
                                        {NULL, NULL}};
