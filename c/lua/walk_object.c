/* conc's own objects, other userdata, and what has __conc_pack. */

#include "lua/walk.h"

#include <stdio.h>
#include <string.h>

#include "core/cells.h"
#include "ipc/shared.h"
#include "lua/names.h"
#include "lua/state.h"
#include "lua/types.h"

/* A function, or "module:field" with perhaps one more field. */
static bool is_rebuilder(lua_State *L, int idx) {
  size_t len;
  if (lua_type(L, idx) != LUA_TSTRING)
    return lua_type(L, idx) == LUA_TFUNCTION;
  const char *s = lua_tolstring(L, idx, &len);
  const char *colon = strchr(s, ':');
  return strlen(s) == len && s[0] != ':' && colon != NULL && colon[1] != '\0' &&
         strstr(s, "::") == NULL && s[len - 1] != ':';
}

/* Opens a frame over what that returns: ... object, result 1, result 2 ... */
void lc_walk_packed(lua_State *L, lc_packer *pk) {
  int obj = lua_gettop(L);
  if (pk->anchors == 0) {
    lc_walk_restart(pk, LC_USER_CODE);
    return;
  }
  luaL_getmetafield(L, obj, "__conc_pack");
  lua_pushvalue(L, obj);
  pk->ran = true;
  lua_call(L, 1, LUA_MULTRET);
  luaL_checkstack(L, 20, "too many results of __conc_pack");
  int n = lua_gettop(L) - obj;
  if (n == 0 || !is_rebuilder(L, obj + 1)) {
    lc_walk_fail(
      L, pk, "%s",
      "__conc_pack must return a function or \"module:field\" first");
    return;
  }
  for (int i = 0; i <= n; i++)
    lc_walk_anchor(L, pk, obj + i);
  lc_frame *f = lc_write_open(L, pk, LC_PACKED, obj);
  if (f == NULL)
    return;
  f->all = (uint32_t)n;
  pk->plain = false;
  unsigned char *p = lc_write_reserve(pk, 5);
  if (p == NULL)
    return;
  *p = LC_PACKED;
  lc_store4(p + 1, (uint32_t)n);
}

void lc_walk_step_packed(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->n < f->all) {
    lua_pushvalue(L, f->slot + (int)++f->n);
    lc_walk_value(L, pk);
    return;
  }
  /* Only now: a result that leads back to the object has no end. */
  lc_write_remember(pk, lua_topointer(L, f->slot), f->offset, 0);
  lua_settop(L, f->slot - 1);
  pk->nframes--;
}

/* What an object of this process only is called, and what there is instead. */
static void stays(lua_State *L, lc_packer *pk, const conc_class *cls) {
  const char *name = cls->name;
  bool view = cls == &conc_view_class;
  static const struct {
    const char *module, *names;
  } modules[] = {{"threading",
                  " Lock RLock Condition Semaphore BoundedSemaphore Event "
                  "Barrier Value Array "},
                 {"queue", " Queue SimpleQueue "}};
  char text[128], padded[40];
  (void)snprintf(padded, sizeof padded, " %.36s ", name);
  (void)snprintf(text, sizeof text, "a %.40s cannot leave the process", name);
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
    if (strstr(modules[i].names, padded) != NULL)
      (void)snprintf(text, sizeof text,
                     "a %s.%s cannot leave the process; use "
                     "multiprocessing.%s",
                     modules[i].module, name, name);
  if (view)
    (void)snprintf(text, sizeof text,
                   "a view of memory cannot leave the process; send the "
                   "SharedMemory");
  lc_walk_fail(L, pk, "%s", text);
}

static void object(lua_State *L, lc_packer *pk, conc_obj *o) {
  if (pk->wire && !conc_is_proxy(o)) {
    stays(L, pk, o->cls);
    return;
  }
  if (o->cls == lc_local_type.cls)
    lc_local_leaves(L, pk->state, -1);
  lc_remember(L, -1);
  pk->plain = false;
  lc_write_byte(pk, LC_OBJ);
  lc_write_varint(pk, lc_write_reference(pk, o));
  lua_pop(L, 1);
}

void lc_walk_userdata(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  conc_obj *o = lc_testany(L, -1);
  if (o != NULL && o->cls != &conc_blob_class) {
    object(L, pk, o);
    return;
  }
  if (lc_walk_seen(L, pk, lua_topointer(L, -1)) ||
      lc_walk_known(L, pk, &code) || lc_walk_stale(L, pk))
    return;
  if (luaL_getmetafield(L, -1, "__conc_pack") != LUA_TNIL) {
    lua_pop(L, 1);
    lc_walk_packed(L, pk);
    return;
  }
  lc_walk_fail(L, pk, "cannot send a %s", lc_nameof(L, -1));
}
