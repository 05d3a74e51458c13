/*
 * What a worker's state takes over from its parent's: package.path, cpath and
 * config, what is preloaded, arg.  It is packed once and kept in the parent
 * until one of these changes.
 */

#include "lua/worker.h"

#include <lualib.h>

#include "core/blob.h"
#include "lua/names.h"
#include "lua/state.h"

static const char env_key = 0;

/*
 * Push a table name -> loader of package.preload (on the top): C functions as
 * their address in this process, Lua functions as they are.
 */
static void push_preload(lua_State *L) {
  int preload = lua_gettop(L);
  lua_newtable(L);
  lua_pushnil(L);
  for (; lua_next(L, preload); lua_settop(L, preload + 2)) {
    lua_CFunction f = lua_tocfunction(L, -1);
    if (f != NULL && lua_getupvalue(L, -1, 1) != NULL)
      continue; /* a C closure: nobody can carry it */
    lua_pushvalue(L, preload + 2);
    if (f != NULL)
      lua_pushinteger(L, (lua_Integer)(uintptr_t)f);
    else
      lua_pushvalue(L, preload + 3);
    lua_rawset(L, preload + 1);
  }
}

/* Push path, cpath, config, preload's fingerprint; nils without the library. */
static void push_signature(lua_State *L) {
  static const char *const fields[] = {"path", "cpath", "config"};
  if (lua_getglobal(L, LUA_LOADLIBNAME) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_settop(L, lua_gettop(L) + 4);
    return;
  }
  int package = lua_gettop(L);
  for (int i = 0; i < 3; i++)
    lua_getfield(L, package, fields[i]);
  if (lua_getfield(L, package, "preload") == LUA_TTABLE)
    lua_pushinteger(L, (lua_Integer)lc_fingerprint(L, -1));
  else
    lua_pushnil(L);
  lua_replace(L, -2);
  lua_remove(L, package);
}

/* Is the signature at 'sig' the one that is kept? */
static bool same_signature(lua_State *L, int sig) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    return false;
  }
  bool same = true;
  for (int i = 0; i < 4 && same; i++) {
    lua_rawgeti(L, -1, i + 1);
    same = lua_rawequal(L, -1, sig + i);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return same;
}

static void keep_signature(lua_State *L, int sig) {
  lua_createtable(L, 4, 0);
  for (int i = 0; i < 4; i++) {
    lua_pushvalue(L, sig + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
}

/* Pack path, cpath, config (at sig), preload and arg into *m; raises. */
static void pack_env(lua_State *L, int sig, conc_msg *m) {
  lua_settop(L, sig + 2);
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "preload");
    push_preload(L);
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, sig + 3);
  lua_settop(L, sig + 3);
  if (lua_getglobal(L, "arg") != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lc_pack(L, sig, sig + 4, "package", m);
}

conc_obj *lc_worker_env(lua_State *L) {
  lc_state *S = lc_open(L);
  int top = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  push_signature(L);
  if (S->env == NULL || !same_signature(L, top + 1)) {
    conc_msg m;
    conc_blob *blob;
    keep_signature(L, top + 1);
    conc_release(S->env);
    S->env = NULL;
    pack_env(L, top + 1, &m);
    if (conc_blob_new(&blob, CONC_BLOB_CLASS, &m) != APR_SUCCESS) {
      conc_msg_fini(&m);
      lc_fail(L, APR_ENOMEM);
    }
    S->env = &blob->obj;
  }
  lua_settop(L, top);
  return conc_retain(S->env);
}

/* package.preload gets what the table at 'from' holds. */
static void apply_preload(lua_State *L, int from) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "preload");
  int preload = lua_gettop(L);
  lua_pushnil(L);
  for (; lua_next(L, from); lua_settop(L, preload + 1)) {
    lua_pushvalue(L, preload + 1);
    if (lua_isinteger(L, preload + 2))
      lua_pushcfunction(L, (lua_CFunction)(uintptr_t)lua_tointeger(L, -2));
    else
      lua_pushvalue(L, preload + 2);
    lua_rawset(L, preload);
  }
  lua_settop(L, preload - 2);
}

void lc_worker_apply(lua_State *L, conc_obj *env) {
  static const char *const fields[] = {"path", "cpath", "config"};
  int top = lua_gettop(L);
  lua_CFunction opener = (lua_CFunction)conc_root_opener(lc_open(L)->root);
  if (opener != NULL) {
    lua_pushcfunction(L, opener);
    lua_call(L, 0, 0);
  }
  if (env == NULL)
    return;
  lc_unpack_copy(L, &((conc_blob *)env)->msg);
  lua_settop(L, top + 5);
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
    for (int i = 0; i < 3; i++) {
      lua_pushvalue(L, top + 1 + i);
      lua_setfield(L, -2, fields[i]);
    }
    if (lua_istable(L, top + 4))
      apply_preload(L, top + 4);
  }
  lua_pushvalue(L, top + 5);
  lua_setglobal(L, "arg");
  lua_settop(L, top);
}
