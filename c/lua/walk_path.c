/* What cannot be sent, and where in the value it is. */

#include "lua/walk.h"

#include <stdio.h>
#include <string.h>

static void path_add(char *path, size_t size, const char *fmt,
                     const char *text) {
  size_t used = strlen(path);
  (void)snprintf(path + used, size - used, fmt, text);
}

static bool is_word(const char *s) {
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                       "0123456789");
  return n > 0 && s[n] == '\0' && (s[0] < '0' || s[0] > '9');
}

static void path_key(lua_State *L, int key, char *path, size_t size) {
  char digits[40];
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *s = lua_tostring(L, key);
    path_add(path, size, is_word(s) ? ".%s" : "[\"%.40s\"]", s);
  } else if (lua_isinteger(L, key)) {
    (void)snprintf(digits, sizeof digits, "[%lld]",
                   (long long)lua_tointeger(L, key));
    path_add(path, size, "%s", digits);
  } else {
    path_add(path, size, "[a %s]", luaL_typename(L, key));
  }
}

static void path_upvalue(lua_State *L, const lc_frame *f, char *path,
                         size_t size) {
  const char *name = lua_getupvalue(L, f->slot, (int)f->n);
  if (name == NULL)
    return;
  path_add(path, size, " (upvalue '%s')", name);
  lua_pop(L, 1);
}

/* Where the walk is, from the frames that are open. */
static void path_here(lua_State *L, const lc_packer *pk, char *path,
                      size_t size) {
  char digits[40];
  for (uint32_t i = 0; i < pk->nframes; i++) {
    const lc_frame *f = &pk->frames[i];
    switch (f->kind) {
    case LC_TABLE: path_key(L, f->slot + 1, path, size); break;
    case LC_FUNC: path_upvalue(L, f, path, size); break;
    case LC_META:
      if (f->stage == LC_ITEMS)
        path_add(path, size, "%s", " (metatable)");
      break;
    default:
      (void)snprintf(digits, sizeof digits, " (packed %u)", f->n);
      path_add(path, size, "%s", digits);
      break;
    }
  }
}

void lc_walk_fail(lua_State *L, lc_packer *pk, const char *fmt,
                  const char *what) {
  char text[160];
  if (pk->failed)
    return;
  pk->error[0] = '\0';
  (void)snprintf(text, sizeof text, fmt, what);
  path_here(L, pk, pk->error, sizeof pk->error - sizeof text - 4);
  path_add(pk->error, sizeof pk->error, ": %s", text);
  pk->failed = true;
}
