#include "lua/code.h"

#include "lua/names.h"

/* A writer for lua_dump: the function must be on the top when it starts, so
   the buffer begins with the first piece (as in lstrlib.c). */
typedef struct dumping {
  bool begun;
  luaL_Buffer b;
} dumping;

static int write_chunk(lua_State *L, const void *p, size_t size, void *ud) {
  dumping *d = ud;
  if (!d->begun) {
    d->begun = true;
    luaL_buffinit(L, &d->b);
  }
  luaL_addlstring(&d->b, p, size);
  return 0;
}

static const char chunks_key = 0;

/* Push the box of the blob that holds the chunk on the top; pops the chunk. */
static conc_blob *push_chunk_blob(lua_State *L) {
  int chunk = lua_gettop(L);
  lc_pushtable(L, &chunks_key, "v"); /* chunk -> its blob's box */
  lua_pushvalue(L, chunk);
  lua_rawget(L, -2);
  conc_blob *b = (conc_blob *)lc_test(L, -1, &conc_blob_class);
  if (b == NULL) {
    size_t len;
    const char *s = lua_tolstring(L, chunk, &len);
    conc_msg msg;
    lua_pop(L, 1);
    lc_box *box = lc_newbox(L, &conc_blob_class);
    if (conc_msg_make(&msg, s, len, NULL, 0) != APR_SUCCESS ||
        conc_blob_new(&b, CONC_BLOB_CODE, &msg) != APR_SUCCESS) {
      conc_msg_fini(&msg);
      b = NULL;
    } else {
      box->obj = &b->obj;
      lua_pushvalue(L, chunk);
      lua_pushvalue(L, -2);
      lua_rawset(L, -4);
    }
  }
  lua_replace(L, chunk);
  lua_settop(L, chunk);
  return b;
}

/*
 * The code of the function on the top.  Closures of one function share it, and
 * each is known by it from now on.
 */
conc_blob *lc_code_of(lua_State *L) {
  dumping d = {.begun = false};
  int fn = lua_gettop(L);
  luaL_checkstack(L, 12, NULL);
  lua_dump(L, write_chunk, &d, 0);
  luaL_pushresult(&d.b);
  conc_blob *b = push_chunk_blob(L);
  if (b != NULL)
    lc_know_blob(L, fn, b);
  lua_settop(L, fn);
  return b;
}

static const char *read_chunk(lua_State *L, void *ud, size_t *size) {
  conc_blob **code = ud;
  (void)L;
  if (*code == NULL)
    return NULL;
  conc_msg *m = &(*code)->msg;
  *code = NULL;
  *size = m->size;
  return (const char *)conc_msg_data(m);
}

void lc_load_code(lua_State *L, conc_blob *code) {
  if (lua_load(L, read_chunk, &code, "=conc", "b") != LUA_OK)
    lua_error(L);
}
