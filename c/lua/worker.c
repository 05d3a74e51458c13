#include "lua/worker.h"

#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "core/rlock.h"
#include "lua/coroutines.h"
#include "lua/interrupt.h"
#include "lua/module.h"
#include "lua/state.h"

/* ---- Libraries ---- */

static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                     {LUA_LOADLIBNAME, luaopen_package},
                                     {LUA_COLIBNAME, luaopen_coroutine},
                                     {LUA_TABLIBNAME, luaopen_table},
                                     {LUA_IOLIBNAME, luaopen_io},
                                     {LUA_OSLIBNAME, luaopen_os},
                                     {LUA_STRLIBNAME, luaopen_string},
                                     {LUA_MATHLIBNAME, luaopen_math},
                                     {LUA_UTF8LIBNAME, luaopen_utf8},
                                     {LUA_DBLIBNAME, luaopen_debug},
                                     {NULL, NULL}};

unsigned lc_libraries(lua_State *L) {
  unsigned set = 0;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (int i = 0; libraries[i].name != NULL; i++) {
    if (lua_getfield(L, -1, libraries[i].name) != LUA_TNIL)
      set |= 1u << i;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return set;
}

void *lc_libraries_arg(unsigned set) { return (void *)(uintptr_t)set; }

static unsigned set_of(const void *arg) { return (unsigned)(uintptr_t)arg; }

static void open_libraries(lua_State *L, unsigned set) {
  for (int i = 0; libraries[i].name != NULL; i++) {
    if ((set >> i & 1) == 0)
      continue;
    luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
    lua_pop(L, 1);
  }
}

/* ---- What is different in a worker ---- */

/* print: as the stock one, but written at once, so that lines stay whole. */
static int worker_print(lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1)
      luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  fwrite(s, 1, len, stdout);
  fflush(stdout);
  return 0;
}

/* The text io.write would write for the number or string at 'idx'. */
static void add_text(lua_State *L, luaL_Buffer *b, int idx) {
  char number[80];
  if (lua_isinteger(L, idx))
    (void)snprintf(number, sizeof number, LUA_INTEGER_FMT,
                   (LUAI_UACINT)lua_tointeger(L, idx));
  else if (lua_type(L, idx) == LUA_TNUMBER)
    (void)snprintf(number, sizeof number, LUA_NUMBER_FMT,
                   (LUAI_UACNUMBER)lua_tonumber(L, idx));
  if (lua_type(L, idx) == LUA_TNUMBER) {
    luaL_addstring(b, number);
  } else {
    luaL_checkstring(L, idx);
    lua_pushvalue(L, idx);
    luaL_addvalue(b);
  }
}

/*
 * io.write and file:write: all arguments as one string to the original, which
 * is upvalue 2; upvalue 3 is how many arguments come before the text.
 */
static int worker_write(lua_State *L) {
  int n = lua_gettop(L), before = (int)lua_tointeger(L, lua_upvalueindex(3));
  if (n > before + 1) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = before + 1; i <= n; i++)
      add_text(L, &b, i);
    luaL_pushresult(&b);
    lua_replace(L, before + 1);
    lua_settop(L, before + 1);
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* os.exit: raises SystemExit with the field 'code'. */
int lc_worker_exit(lua_State *L) {
  lua_Integer code = 0;
  if (lua_isboolean(L, 1))
    code = lua_toboolean(L, 1) ? 0 : 1;
  else
    code = luaL_optinteger(L, 1, 0);
  lc_pusherror(L, "SystemExit", "os.exit was called");
  lua_pushinteger(L, code);
  lua_setfield(L, -2, "code");
  return lua_error(L);
}

/*
 * Many C modules were written for one state and keep statics.  One at a time
 * in the process is opened; a module may require another one meanwhile.
 */
static conc_rlock loading;

static int open_alone(lua_State *L) {
  apr_status_t st;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  do
    st = conc_rlock_acquire(&loading, lc_self(L), CONC_FOREVER);
  while (lc_again(L, st));
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  (void)conc_rlock_release(&loading, lc_self(L));
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* A searcher for C modules: what it finds is opened alone. */
static int search_c(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 2);
  if (lua_type(L, -2) == LUA_TFUNCTION) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, open_alone, 2);
    lua_replace(L, -3);
  }
  return 2;
}

/* table[key] = f with upvalues: the state, the old value, 'number'. */
static void wrap(lua_State *L, lua_CFunction f, int number) {
  lua_pushlightuserdata(L, lc_open(L));
  lua_insert(L, -2);
  lua_pushinteger(L, number);
  lua_pushcclosure(L, f, 3);
}

static void change_io(lua_State *L) {
  if (lua_getglobal(L, LUA_IOLIBNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, "write");
    wrap(L, worker_write, 0);
    lua_setfield(L, -2, "write");
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__index");
    lua_getfield(L, -1, "write");
    wrap(L, worker_write, 1);
    lua_setfield(L, -2, "write");
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
}

static void change_package(lua_State *L) {
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, "searchers");
    for (int i = 3; i <= 4; i++) {
      lua_rawgeti(L, -1, i);
      wrap(L, search_c, 0);
      lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_conc_core);
    lua_setfield(L, -2, "conc.core");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void set_function(lua_State *L, const char *library, const char *name,
                         lua_CFunction f) {
  if (lua_getglobal(L, library) == LUA_TTABLE) {
    lua_pushcfunction(L, f);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
}

void lc_whole_lines(lua_State *L) {
  set_function(L, LUA_GNAME, "print", worker_print);
  change_io(L);
}

/*
 * warn, as it is in states of luaL_newstate: "@on" and "@off" switch it, and a
 * message may come in pieces.
 */
static void warn(void *state, const char *text, int more) {
  enum { ON = 1, PIECE = 2 };
  lc_state *S = state;
  if (more == 0 && (S->warn & PIECE) == 0 && *text == '@') {
    if (strcmp(text, "@on") == 0)
      S->warn |= ON;
    else if (strcmp(text, "@off") == 0)
      S->warn &= PIECE;
    return;
  }
  if (S->warn & ON)
    (void)fprintf(stderr, "%s%s%s",
                  S->warn & PIECE ? "" : "Lua warning: ", text,
                  more ? "" : "\n");
  S->warn = (unsigned char)((S->warn & ON) | (more ? PIECE : 0));
}

/* (libraries) */
static int build(lua_State *L) {
  unsigned set = set_of(lua_touserdata(L, 1));
  lua_gc(L, LUA_GCSTOP); /* nothing of this is garbage */
  lua_setwarnf(L, warn, lc_open_worker(L));
  open_libraries(L, set);
  set_function(L, LUA_OSLIBNAME, "exit", lc_worker_exit);
  lc_whole_lines(L);
  lc_watch_coroutines(L);
  change_package(L);
  lua_gc(L, LUA_GCRESTART);
  return 0;
}

lua_Alloc lc_worker_alloc = conc_arena_alloc;

static lua_State *new_state(void) {
  conc_arena *a = conc_arena_new();
  if (a == NULL)
    return NULL;
  lua_State *L = lua_newstate(lc_worker_alloc, a);
  if (L == NULL)
    conc_arena_free(a);
  return L;
}

void *lc_worker_prepare(void *arg) {
  lua_State *L = new_state();
  if (L == NULL)
    return NULL;
  lua_pushcfunction(L, build);
  lua_pushlightuserdata(L, arg);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lc_worker_close(L);
    return NULL;
  }
  return L;
}

void lc_worker_close(lua_State *L) {
  void *arena;
  (void)lc_interrupt_alloc(L, &arena);
  lua_close(L);
  conc_arena_free(arena);
}

void lc_worker_discard(void *worker) { lc_worker_close(worker); }

lua_State *lc_worker_open(conc_thread *t, void *prepared) {
  lua_State *L = prepared;
  if (L != NULL && lc_libraries(L) != set_of(t->arg)) {
    lc_worker_close(L);
    L = NULL;
  }
  if (L == NULL)
    L = lc_worker_prepare(t->arg);
  if (L != NULL)
    lc_adopt_worker(lc_open(L), t);
  return L;
}
