/* conc.multiprocessing: which processes there are, and what they share. */

#include "ipc/heap.h"
#include "lua/bindings/lprocess.h"
#include "lua/state.h"
#include "lua/types.h"
#include "sys/apr.h"

conc_brood *lc_brood(lua_State *L) {
  lc_state *S = lc_open(L);
  if (S->self == NULL)
    lc_error(L, "conc: this state is closing");
  conc_obj *o = conc_root_attached(S->root, conc_brood_new);
  if (o == NULL)
    lc_fail(L, APR_ENOMEM);
  return (conc_brood *)(void *)o;
}

void lc_brood_close(lc_state *S, conc_parker *self, conc_time deadline,
                    int64_t grace) {
  conc_obj *o = conc_root_attached(S->root, NULL);
  if (o != NULL)
    conc_brood_close((conc_brood *)(void *)o, self, deadline, grace);
}

/* ---- Relatives ---- */

static void push_process(lua_State *L, conc_process *p) {
  lc_push(L, &p->obj);
  conc_release(&p->obj);
}

conc_process *lc_self_process(lua_State *L) {
  conc_brood *b = lc_brood(L);
  conc_process *p = conc_brood_relative(b, CONC_SELF);
  if (p != NULL)
    return p;
  apr_status_t st = conc_process_adopt(&p, b, "MainProcess", conc_sys_pid());
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  conc_retain(&p->obj);
  conc_process *old = conc_brood_set_relative(b, CONC_SELF, p);
  if (old != NULL)
    conc_release(&old->obj);
  return p;
}

/* current_process(): the Process that runs the caller */
static int current_process(lua_State *L) {
  lc_nomore(L, 0);
  push_process(L, lc_self_process(L));
  return 1;
}

/* parent_process(): that of the process that started this one, or nil */
static int parent_process(lua_State *L) {
  lc_nomore(L, 0);
  conc_process *p = conc_brood_relative(lc_brood(L), CONC_PARENT);
  if (p == NULL)
    lua_pushnil(L);
  else
    push_process(L, p);
  return 1;
}

static size_t take_processes(void *brood, conc_obj **list, size_t room) {
  return conc_brood_processes(brood, list, room);
}

/* active_children(): a sequence of the children that run, oldest first */
static int active_children(lua_State *L) {
  lc_nomore(L, 0);
  lc_snapshot *s = lc_push_snapshot(L, take_processes, lc_brood(L));
  lua_createtable(L, (int)s->n, 0);
  for (size_t i = 0; i < s->n; i++) {
    lc_push(L, s->list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lc_drop_snapshot(s);
  return 1;
}

/* ---- For lua/conc ---- */

void lc_push_note(lua_State *L, conc_note which) {
  conc_blob *text = conc_brood_note(lc_brood(L), which);
  if (text == NULL) {
    lua_pushnil(L);
    return;
  }
  lc_push(L, &text->obj); /* so that it is released whatever happens */
  conc_release(&text->obj);
  lua_pushlstring(L, (const char *)conc_msg_data(&text->msg), text->msg.size);
  lua_remove(L, -2);
}

static const char *const notes[] = {"executable", "interpreter", "method",
                                    "preload",    "key",         NULL};

/* note(which): a text of the program, or nil */
static int note(lua_State *L) {
  lc_push_note(L, (conc_note)luaL_checkoption(L, 1, NULL, notes));
  return 1;
}

/* set_note(which, text | nil [, keep]): 'keep': if there is none yet */
int lc_set_note(lua_State *L) {
  size_t len;
  conc_msg m;
  conc_blob *text;
  conc_note which = (conc_note)luaL_checkoption(L, 1, NULL, notes);
  const char *s = luaL_optlstring(L, 2, NULL, &len);
  conc_brood *b = lc_brood(L);
  if (s == NULL) {
    conc_brood_set_note(b, which, NULL, false);
    return 0;
  }
  apr_status_t st = conc_msg_make(&m, s, len, NULL, 0);
  if (st == APR_SUCCESS &&
      (st = conc_blob_new(&text, CONC_BLOB_CODE, &m)) != APR_SUCCESS)
    conc_msg_fini(&m);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  conc_brood_set_note(b, which, text, lua_toboolean(L, 3));
  return 0;
}

/*
 * probe(program, code): true if it is an interpreter that can run conc; false
 * and why not
 */
static int probe(lua_State *L) {
  conc_sys_end end;
  char text[120];
  const conc_process_how how = {.program = luaL_checkstring(L, 1),
                                .code = luaL_checkstring(L, 2),
                                .name = luaL_checkstring(L, 1),
                                .err = CONC_NO_HANDLE,
                                .quiet = true};
  apr_status_t st;
  do
    st = conc_process_probe(&how, lc_self(L), &end);
  while (lc_again(L, st));
  lua_pushboolean(L, st == APR_SUCCESS);
  if (st == APR_SUCCESS)
    return 1;
  if (st != APR_EGENERAL)
    lua_pushstring(L, APR_STATUS_IS_TIMEUP(st)
                        ? "it does not answer"
                        : conc_sys_strerror(st, text, sizeof text));
  else if (end.signal != 0)
    lua_pushfstring(L, "ended by signal %d", end.signal);
  else
    lua_pushfstring(L, "ended with code %d", end.code);
  return 2;
}

/* Push where that is, or nil. */
static int push_path(lua_State *L, apr_status_t (*where)(char *, size_t)) {
  char path[4096];
  if (where(path, sizeof path) == APR_SUCCESS)
    lua_pushstring(L, path);
  else
    lua_pushnil(L);
  return 1;
}

/* heap_handle(): what a child calls the heap by */
static int heap_handle(lua_State *L) {
  apr_status_t st = conc_heap_open();
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  lua_pushinteger(L, (lua_Integer)conc_heap_handle());
  return 1;
}

/* program(): the path of the program that runs us, or nil */
static int program(lua_State *L) { return push_path(L, conc_sys_program); }

/* module(): the path of the library that holds conc's C half, or nil */
static int module(lua_State *L) { return push_path(L, conc_sys_module); }

const luaL_Reg lc_process_functions[] = {{"process_maker", lc_process_maker},
                                         {"current_process", current_process},
                                         {"parent_process", parent_process},
                                         {"active_children", active_children},
                                         {"note", note},
                                         {"set_note", lc_set_note},
                                         {"probe", probe},
                                         {"heap_handle", heap_handle},
                                         {"program", program},
                                         {"module", module},
                                         {NULL, NULL}};
