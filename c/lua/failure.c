#include "lua/failure.h"

#include <stdio.h>
#include <string.h>

#include "lua/pack.h"

/* (error value, traceback or nil, message) */
static int pack(lua_State *L) {
  conc_msg *m = lua_touserdata(L, 3);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushliteral(L, "");
    lua_replace(L, 2);
  }
  if (lua_type(L, 1) == LUA_TSTRING)
    lua_pushnil(L);
  else
    lc_totext(L, 1);
  lua_insert(L, 1);
  lua_insert(L, 2); /* text, traceback, value */
  lc_pack_answer(L, 1, 3, "error", m);
  return 0;
}

/* The same with the text in place of a value that cannot travel */
static int pack_text(lua_State *L) {
  lc_totext(L, 1);
  lua_replace(L, 1);
  return pack(L);
}

void lc_pack_failure(lua_State *L, int idx, conc_msg *m) {
  static const lua_CFunction ways[] = {pack, pack_text};
  static const unsigned char nomem[] = "\x11\xa0\x60\x71not enough memory";
  idx = lua_absindex(L, idx);
  int top = lua_gettop(L);
  for (int i = 0; i < 2; i++) {
    lua_pushcfunction(L, ways[i]);
    lua_pushvalue(L, idx);
    lua_pushvalue(L, top);
    lua_pushlightuserdata(L, m);
    int status = lua_pcall(L, 3, 0, 0);
    lua_settop(L, top);
    if (status == LUA_OK)
      goto done;
  }
  (void)conc_msg_make(m, nomem, sizeof nomem - 1, NULL, 0); /* fits inside */
done:
  lua_settop(L, top - 1);
}

/* (status) */
static int fail(lua_State *L) {
  return lc_fail(L, (apr_status_t)lua_tointeger(L, 1));
}

void lc_pack_status(lua_State *L, apr_status_t st, conc_msg *m) {
  lua_pushcfunction(L, fail);
  lua_pushinteger(L, st);
  (void)lua_pcall(L, 1, 1, 0);
  lua_pushnil(L);
  lc_pack_failure(L, -2, m);
  lua_pop(L, 1);
}

static int push_string(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

void lc_push_text(lua_State *L, const char *text) {
  lua_pushcfunction(L, push_string);
  lua_pushlightuserdata(L, (void *)(uintptr_t)text);
  (void)lua_pcall(L, 1, 1, 0);
}

void lc_push_failure(lua_State *L, conc_msg *why) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (why->size == 0) {
    lc_pusherror(L, "BrokenPromise",
                 "the promise was dropped without a result");
    lua_pushliteral(L, "");
    return;
  }
  lc_unpack_copy(L, why);
  lua_settop(L, top + 3);
  lua_insert(L, top + 2); /* text, value, traceback */
  lua_remove(L, top + 1);
}

void lc_push_error_of(lua_State *L, conc_future *f) {
  conc_future_look(f);
  if (conc_future_is(f) == CONC_FUTURE_CANCELLED) {
    lc_pusherror(L, "CancelledError", "the future was cancelled");
  } else {
    lc_push_failure(L, &f->msg);
    lua_pop(L, 1);
  }
}

/* ---- Without a state ---- */

/* The string at *at, or NULL; *at moves behind it. */
static const char *read_string(const conc_msg *m, const unsigned char *data,
                               size_t *at, size_t *len) {
  size_t i = *at, n = 0;
  if (i >= m->size)
    return NULL;
  unsigned tag = data[i++];
  if (tag >= LC_SHORTSTR && tag < LC_SHORTSTR + LC_SHORTMAX) {
    n = tag - LC_SHORTSTR;
  } else if (tag == LC_STRING) {
    for (unsigned shift = 0; i < m->size && shift < 63; shift += 7) {
      n |= (size_t)(data[i] & 0x7f) << shift;
      if (data[i++] < 0x80)
        break;
    }
  } else {
    return NULL;
  }
  if (n > m->size - i)
    return NULL;
  *at = i + n;
  *len = n;
  return (const char *)data + i;
}

void lc_tell(const char *what, conc_msg *why) {
  const unsigned char *data = conc_msg_data(why);
  size_t at = 1, len, tracelen = 0;
  if (why->size < 2)
    return;
  const char *text = read_string(why, data, &at, &len);
  if (text == NULL)
    at++; /* nil: the value is a string */
  const char *trace = read_string(why, data, &at, &tracelen);
  if (text == NULL)
    text = read_string(why, data, &at, &len);
  if (text == NULL || trace == NULL)
    return;
  (void)fprintf(stderr, "conc: %s: %.*s%s%.*s\n", what,
                (int)(len > 4000 ? 4000 : len), text, tracelen > 0 ? "\n" : "",
                (int)(tracelen > 4000 ? 4000 : tracelen), trace);
}

void lc_forgotten(conc_msg *why) {
  lc_tell("nobody looked at the error of a future", why);
}
