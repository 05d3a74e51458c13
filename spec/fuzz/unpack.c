/*
 * Any bytes for lc_unpack: they give values or an error, in memory that is
 * bounded by their number, and leave nothing behind.  What was read is packed
 * and read once more.
 *
 * The first byte of an input says how the rest is meant (NAKED, CLASS).  The
 * message has references to a queue, to the code of three functions and to a
 * class, all from packing the real things.  CONC_FUZZ_SEEDS=dir writes inputs
 * to begin with and ends: spec/fuzz/unpack/ is made so.
 */

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blob.h"
#include "lua/module.h"
#include "lua/pack.h"
#include "lua/state.h"

#include "../c/check.h"

enum {
  NAKED = 1, /* no references: the message ends where its block does */
  CLASS = 2  /* the bytes are those of a class, which the message speaks of */
};

enum { MOST_REFS = 8, CLASS_ID = 1 };

static conc_obj *refs[MOST_REFS + 1]; /* the last is for the class */
static uint32_t nrefs;

/* ---- A state that nothing harmful can be called in ---- */

typedef struct memory {
  size_t used, most;
} memory;

static void *allocate(void *ud, void *p, size_t old, size_t size) {
  memory *m = ud;
  m->used -= p == NULL ? 0 : old;
  m->used += size;
  CHECK(m->used <= m->most);
  if (size != 0)
    return realloc(p, size);
  free(p);
  return NULL;
}

/*
 * A message may call what its reader can name, as __conc_pack asks for.  Left
 * out is what runs bytes as code, runs for ever or takes any memory by itself.
 */
static lua_State *new_state(memory *m, size_t most) {
  static const char *const unsafe = "load loadfile dofile collectgarbage print "
                                    "warn rep find match gmatch gsub ";
  static const luaL_Reg libraries[] = {
    {"_G", luaopen_base}, {"string", luaopen_string}, {"math", luaopen_math}};
  *m = (memory){0, most};
  lua_State *L = lua_newstate(allocate, m);
  CHECK(L != NULL);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
    for (const char *s = unsafe; *s != '\0'; s = strchr(s, ' ') + 1) {
      lua_pushlstring(L, s, (size_t)(strchr(s, ' ') - s));
      lua_pushnil(L);
      lua_rawset(L, -3);
    }
    lua_settop(L, 0);
  }
  return L;
}

/* ---- One message ---- */

/* Read the message at a pointer, then write and read it again. */
static int there_and_back(lua_State *L) {
  conc_msg *m = lua_touserdata(L, 1);
  int n = lc_unpack(L, m);
  CHECK(lua_gettop(L) == 1 + n);
  CHECK(m->size == 0 && m->nrefs == 0);
  lc_pack(L, 2, 1 + n, "args", m);
  CHECK(lua_gettop(L) == 1 + n);
  CHECK(lc_unpack(L, m) == n);
  return 0;
}

static void message(conc_msg *m, const uint8_t *data, size_t size,
                    uint32_t with) {
  CHECK(conc_msg_make(m, data, size, refs, with) == APR_SUCCESS);
  for (uint32_t i = 0; i < with; i++)
    conc_retain(refs[i]);
}

static void speak_of_class(conc_msg *m) {
  const uint8_t bytes[] = {LC_VERSION, LC_CLASS, (uint8_t)nrefs, CLASS_ID};
  conc_blob *b;
  CHECK(conc_blob_new(&b, CONC_BLOB_CLASS, m) == APR_SUCCESS);
  refs[nrefs] = &b->obj;
  message(m, bytes, sizeof bytes, nrefs + 1);
  conc_release(&b->obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t before = conc_obj_count();
  memory mem;
  conc_msg m;
  if (size == 0)
    return 0;
  message(&m, data + 1, size - 1, data[0] & NAKED ? 0 : nrefs);
  if (data[0] & CLASS)
    speak_of_class(&m);
  lua_State *L = new_state(&mem, (1 << 20) + 512 * size);
  lua_pushcfunction(L, there_and_back);
  lua_pushlightuserdata(L, &m);
  int st = lua_pcall(L, 1, 0, 0);
  CHECK(st == LUA_OK || st == LUA_ERRRUN || st == LUA_ERRERR);
  conc_msg_fini(&m);
  lua_close(L);
  CHECK(mem.used == 0);
  CHECK(conc_obj_count() == before);
  return 0;
}

/* ---- The real things, and what to begin with ---- */

static const char *const things =
  "local core = ...\n"
  "local a, b = 1, {}\n"
  "local class = {__name = 'thing'}\n"
  "class.__index = class\n"
  "function class:get() return self.x end\n"
  "things = {core.Queue(3), function() return 1 end,\n"
  "  function() a = a + 1; return b end, function(n) return a + n end,\n"
  "  setmetatable({x = 1}, class)}\n"
  "seeds = {1, 200, 70000, 1 << 40, -5, 1.5, true, false, 'short',\n"
  "  ('long'):rep(50), {1, 2, 3}, {x = 1, [2.5] = {}, [true] = 0},\n"
  "  things, {things[3], things[4], things[3]}, print, string, math.abs, _G,\n"
  "  setmetatable({}, {__conc_pack = function(t)\n"
  "    return 'math:max', 1, {t = 2}, 3 end}),\n"
  "  setmetatable({}, {__conc_pack = function()\n"
  "    return function(...) return {...} end, things[1] end}),\n"
  "  setmetatable({things[5]}, core.Error)}\n"
  "seeds[12].me = seeds[12]\n"
  "seeds[#seeds + 1] = core.Error.new('Odd', 'of its kind', seeds[11])\n"
  "local deep = {}\n"
  "for i = 1, 40 do deep = {deep, i} end\n"
  "seeds[#seeds + 1] = deep\n"
  "local long, mixed = {}, {}\n"
  "for i = 1, 100 do long[i], mixed[i] = i * i, i / 2 end\n"
  "mixed[1], mixed[50], mixed[70], mixed[90] = 'one', false, {}, long\n"
  "seeds[#seeds + 1] = long\n"
  "seeds[#seeds + 1] = mixed\n";

static void write_seed(const char *dir, int i, int how, conc_msg *m) {
  char path[512];
  (void)snprintf(path, sizeof path, "%s/%02d", dir, i);
  FILE *f = fopen(path, "wb");
  CHECK(f != NULL);
  fputc(how, f);
  fwrite(conc_msg_data(m), 1, m->size, f);
  CHECK(fclose(f) == 0);
}

/*
 * 'things' and the seeds are on the stack.  Each seed follows the things, so
 * that its references are numbered like ours.
 */
static void write_seeds(lua_State *L, const char *dir) {
  conc_msg m;
  int n = (int)luaL_len(L, 2), i = 1;
  for (; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    lua_pushvalue(L, 1);
    lua_insert(L, 3);
    lc_pack(L, 3, 4, "args", &m);
    write_seed(dir, i, 0, &m);
    conc_msg_fini(&m);
    lua_settop(L, 2);
  }
  write_seed(dir, i, CLASS, &((conc_blob *)refs[nrefs - 1])->msg);
  exit(0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *dir = getenv("CONC_FUZZ_SEEDS");
  static lua_State *L;
  static conc_msg m;
  (void)argc;
  (void)argv;
  L = luaL_newstate();
  luaL_openlibs(L);
  CHECK(luaL_loadstring(L, things) == LUA_OK);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
  }
  lua_getglobal(L, "things");
  lc_pack(L, 1, 1, "things", &m);
  nrefs = m.nrefs;
  CHECK(nrefs == 5);
  memcpy(refs, conc_msg_refs(&m), nrefs * sizeof *refs);
  lua_getglobal(L, "seeds");
  if (dir != NULL)
    write_seeds(L, dir);
  return 0;
}
