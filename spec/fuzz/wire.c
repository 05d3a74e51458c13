/*
 * Any bytes from another process: what a stranger sends through a connection
 * gives plain data or an error; bytes that claim to hold code and classes
 * (ipc/wire.h) give a message or an error, and that message gives the same
 * bytes back.  Nothing is left behind.
 *
 * The first byte of an input says how the rest comes: FRAMES through a socket,
 * else directly.  CONC_FUZZ_SEEDS=dir writes inputs to begin with and ends.
 */

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/conn.h"
#include "ipc/wire.h"
#include "lua/module.h"
#include "lua/state.h"
#include "lua/wire.h"

#include "../c/check.h"

enum { FRAMES = 1 };

static lua_State *L;
static conc_parker *self;

/* ---- Straight ---- */

/* (wire): as a stranger's */
static int read_plain(lua_State *l) {
  (void)lc_unpack_wire(l, lua_touserdata(l, 1), false);
  return 0;
}

static void try_plain(const conc_wire *w) {
  lua_pushcfunction(L, read_plain);
  lua_pushlightuserdata(L, (void *)(uintptr_t)w);
  int st = lua_pcall(L, 1, 0, 0);
  CHECK(st == LUA_OK || st == LUA_ERRRUN);
  lua_settop(L, 0);
}

/* Bytes, message, bytes, message, bytes: the last two are the same. */
static void try_refs(const conc_wire *w) {
  const conc_class *what;
  conc_msg m, again;
  conc_wire one, two;
  if (conc_wire_decode(&m, w, true) != APR_SUCCESS)
    return;
  CHECK(conc_wire_encode(&one, &m, &what) == APR_SUCCESS);
  CHECK(conc_wire_decode(&again, &one, true) == APR_SUCCESS);
  CHECK(conc_wire_encode(&two, &again, &what) == APR_SUCCESS);
  CHECK(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
  CHECK(one.nshared == 0);
  conc_wire_fini(&one);
  conc_wire_fini(&two);
  conc_msg_fini(&m);
  conc_msg_fini(&again);
}

/* ---- Through a connection ---- */

static void try_frames(const uint8_t *data, size_t size) {
  conc_handle ends[2];
  conc_conn *c;
  apr_status_t st;
  CHECK(conc_sys_channel(ends) == APR_SUCCESS);
  CHECK(conc_conn_new(&c, ends[0], false, 1 << 20) == APR_SUCCESS);
  if (size > 0) {
    size_t n = size;
    CHECK(conc_sys_write(ends[1], data, &n) == APR_SUCCESS);
  }
  conc_sys_close(ends[1]);
  while ((st = conc_conn_receive(c, self, CONC_NOW)) == APR_SUCCESS) {
    const conc_wire w = {.data = c->in.data, .size = (size_t)c->in.size};
    if (c->in.head[0] == CONC_FRAME_VALUE)
      try_plain(&w);
    conc_conn_done(c);
  }
  CHECK(st == CONC_CLOSED || st == CONC_CORRUPT);
  CHECK(conc_conn_receive(c, self, CONC_NOW) == CONC_CLOSED);
  conc_release(&c->obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  int64_t before = conc_obj_count();
  if (data[0] & FRAMES) {
    try_frames(data + 1, size - 1);
  } else { /* in a block of its own, so that a look behind it is seen */
    conc_wire w = {.data = conc_alloc(size - 1), .size = size - 1};
    CHECK(w.data != NULL);
    memcpy(w.data, data + 1, w.size);
    try_plain(&w);
    try_refs(&w);
    conc_wire_fini(&w);
  }
  lua_gc(L, LUA_GCCOLLECT);
  CHECK(conc_obj_count() == before);
  return 0;
}

/* ---- What to begin with ---- */

static const char *const things =
  "local class = {__name = 'thing'}\n"
  "class.__index = class\n"
  "function class:get() return self.x end\n"
  "local n = 1\n"
  "local function f() n = n + 1 return n end\n"
  "local t = {1, 'two', {3.5, [true] = false}}\n"
  "t.me = t\n"
  "return {1, -70000, 'text', ('long'):rep(50), t, f, {f, f, class.get},\n"
  "  setmetatable({x = 1}, class), {setmetatable({}, class), f, print}}\n";

static void write_seed(const char *dir, int i, int how, const conc_wire *w) {
  char path[512];
  (void)snprintf(path, sizeof path, "%s/%02d", dir, i);
  FILE *f = fopen(path, "wb");
  CHECK(f != NULL);
  fputc(how, f);
  if (how == FRAMES) {
    fputc(CONC_FRAME_VALUE, f);
    for (int k = 0; k < 7; k++)
      fputc((int)(w->size >> (8 * k)) & 0xff, f);
  }
  fwrite(w->data, 1, w->size, f);
  CHECK(fclose(f) == 0);
}

static void write_seeds(const char *dir) {
  CHECK(luaL_dostring(L, things) == LUA_OK);
  int n = (int)luaL_len(L, 1);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    const conc_wire *w = lc_pack_wire(L, 2, 2, "seed");
    write_seed(dir, 2 * i - 1, 0, w);
    write_seed(dir, 2 * i, FRAMES, w);
    lua_settop(L, 1);
  }
  exit(0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *dir = getenv("CONC_FUZZ_SEEDS");
  (void)argc;
  (void)argv;
  L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  lua_settop(L, 0);
  self = conc_parker_new();
  CHECK(self != NULL);
  if (dir != NULL)
    write_seeds(dir);
  return 0;
}
