/*
 * Writing values.  The walk has a stack of frames of its own and keeps each
 * open table on Lua's stack, so data may be as deep as memory allows.
 *
 * While plain data is written no Lua runs and nothing is collected, so the
 * address of a table is its identity.  What calls for more starts the packing
 * anew under other conditions:
 *
 *  - a function or class nobody knows yet, when modules were loaded since
 *    names were last looked up: now with fresh names;
 *  - a table that turns out to be a class (it has an __index field) after it
 *    was begun as data: now known as a class;
 *  - an object with __conc_pack: now with an anchor for every value met, since
 *    the user's code may let the collector run, and with a packer of its own,
 *    since that code may pack too.
 *
 * A class, a table that is somebody's metatable or has an __index field, is
 * packed once into a blob.  The classes met on the way (its bases, say) are
 * defined in the same blob, so blobs never refer to each other in a circle.
 */

#include "lua/pack.h"

#include <stdio.h>
#include <string.h>

#include "lua/code.h"
#include "lua/names.h"
#include "lua/state.h"
#include "lua/writer.h"

/* Stages of a frame. */
enum { ITEMS, PAIR_VALUE, META_VALUE };

static void value(lua_State *L, lc_packer *pk);
static inline bool scalar(lua_State *L, lc_packer *pk, int idx, int type);

/* ---- The path to a culprit ---- */

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
      if (f->stage == ITEMS)
        path_add(path, size, "%s", " (metatable)");
      break;
    default:
      (void)snprintf(digits, sizeof digits, " (packed %u)", f->n);
      path_add(path, size, "%s", digits);
      break;
    }
  }
}

/* The current item of the innermost frame is what fails. */
static void culprit(lua_State *L, lc_packer *pk, const char *fmt,
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

static void restart(lc_packer *pk, lc_restart why) {
  if (pk->again == LC_NO)
    pk->again = why;
  pk->failed = true;
}

/* Keep the value at 'idx' from being collected during careful packing. */
static void anchor(lua_State *L, lc_packer *pk, int idx) {
  if (pk->anchors == 0)
    return;
  lua_pushvalue(L, idx);
  lua_rawseti(L, pk->anchors, (lua_Integer)lua_rawlen(L, pk->anchors) + 1);
}

static void long_string(lc_packer *pk, const char *s, size_t len) {
  lc_write_byte(pk, LC_STRING);
  lc_write_varint(pk, len);
  lc_write_bytes(pk, s, len);
}

/* ---- What is known ---- */

static void write_name(lc_packer *pk, unsigned tag, const char *name,
                       size_t len) {
  pk->plain = false;
  lc_write_byte(pk, tag);
  lc_write_varint(pk, len);
  lc_write_bytes(pk, name, len);
}

static void write_blob(lc_packer *pk, unsigned tag, conc_blob *b) {
  pk->plain = false;
  lc_write_byte(pk, tag);
  lc_write_varint(pk, lc_write_reference(pk, &b->obj));
}

/*
 * Write the value on the top by its name or class and pop it, if it has one.
 * A function's code goes to *code instead.
 */
static bool write_known(lua_State *L, lc_packer *pk, conc_blob **code) {
  bool done = false;
  lc_pushknown(L);
  lua_pushvalue(L, -2);
  int type = lua_rawget(L, -2);
  if (type == LUA_TSTRING) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    done = lc_isnamed(L, -3, name, len);
    if (done)
      write_name(pk, LC_NAME, name, len);
  } else if (type == LUA_TUSERDATA) {
    conc_blob *b = (conc_blob *)lc_test(L, -1, &conc_blob_class);
    if (b->kind == CONC_BLOB_CODE) {
      *code = b;
    } else {
      write_blob(pk, LC_CLASS, b);
      lc_write_varint(pk, lc_class_id(L, -3));
      done = true;
    }
  }
  lua_pop(L, done ? 3 : 2);
  return done;
}

/* Names may be out of date: true when the packing has to start anew. */
static bool stale(lua_State *L, lc_packer *pk) {
  if (pk->refreshed)
    return false;
  pk->refreshed = true;
  if (!lc_refresh_names(L, pk->state))
    return false;
  restart(pk, LC_NEW_NAMES);
  return true;
}

/* The value on the top was met before: write that and pop it. */
static bool write_seen(lua_State *L, lc_packer *pk, const void *key) {
  const lc_memo *seen = lc_write_find(pk, key);
  if (seen == NULL)
    return false;
  lc_write_back(pk, seen);
  lua_pop(L, 1);
  return true;
}

/* ---- Functions ---- */

/*
 * A function whose only upvalue is the globals, or none, is sent over and over
 * by those who submit tasks: the last such one is kept, by pointer and in the
 * registry, and needs no look-up.  It holds nothing that this could keep alive.
 */
static const char plain_key = 0;

static void keep_plain(lua_State *L, lc_packer *pk, conc_blob *code,
                       unsigned char nups) {
  lc_state *S = pk->state;
  if (nups > 1 || pk->anchors != 0)
    return;
  if (nups == 1) {
    lua_getupvalue(L, -1, 1);
    bool globals = lua_topointer(L, -1) == pk->globals;
    lua_pop(L, 1);
    if (!globals)
      return;
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &plain_key);
  S->plain_fn = lua_topointer(L, -1);
  S->plain_code = code;
  S->plain_nups = nups;
}

static bool write_plain(lua_State *L, lc_packer *pk) {
  const lc_state *S = pk->state;
  if (S->plain_fn == NULL || lua_topointer(L, -1) != S->plain_fn)
    return false;
  write_blob(pk, LC_FUNC, S->plain_code);
  lc_write_byte(pk, S->plain_nups);
  if (S->plain_nups == 1)
    lc_write_byte(pk, LC_GLOBALS);
  lua_pop(L, 1);
  return true;
}

static void begin_function(lua_State *L, lc_packer *pk, conc_blob *code) {
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">u", &ar);
  lc_frame *f = lc_write_open(L, pk, LC_FUNC, lua_gettop(L));
  if (f == NULL)
    return;
  f->all = ar.nups;
  keep_plain(L, pk, code, ar.nups);
  lc_write_remember(pk, lua_topointer(L, -1), pk->len, 0);
  write_blob(pk, LC_FUNC, code);
  lc_write_byte(pk, ar.nups);
}

static void function(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  if (write_plain(L, pk))
    return;
  if (write_seen(L, pk, lua_topointer(L, -1)) || write_known(L, pk, &code))
    return;
  if (code == NULL && stale(L, pk))
    return;
  if (lua_iscfunction(L, -1)) {
    culprit(L, pk, "%s", "cannot send a C function that no module holds");
    return;
  }
  anchor(L, pk, -1);
  if (code == NULL)
    code = lc_code_of(L);
  if (code == NULL)
    lc_write_nomem(pk);
  else
    begin_function(L, pk, code);
}

/*
 * A table of globals that asks a function for what it has not (a test
 * framework gives such to its files) stands for the globals of its state, and
 * over there for those of that one.
 */
static bool is_sandbox(lua_State *L) {
  bool yes = false;
  if (lua_type(L, -1) == LUA_TTABLE && lua_getmetatable(L, -1)) {
    lua_pushliteral(L, "__index");
    yes = lua_rawget(L, -2) == LUA_TFUNCTION;
    lua_pop(L, 2);
  }
  return yes;
}

/* Write the next upvalue of the function at f->slot, or close it. */
static void step_function(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->n == f->all) {
    lua_pop(L, 1);
    pk->nframes--;
    return;
  }
  int slot = f->slot, i = (int)++f->n;
  size_t offset = f->offset;
  const void *id = lua_upvalueid(L, slot, i);
  const lc_memo *seen = lc_write_find(pk, id);
  if (seen != NULL) {
    size_t at = seen->offset;
    uint32_t index = seen->index;
    if (!pk->failed)
      pk->buf[at] |= LC_SHARED;
    pk->wide = true;
    lc_write_byte(pk, LC_JOIN);
    lc_write_varint(pk, at);
    lc_write_byte(pk, index);
    return;
  }
  lc_write_remember(pk, id, offset, (uint32_t)i);
  const char *name = lua_getupvalue(L, slot, i);
  if (strcmp(name, "_ENV") == 0 && is_sandbox(L)) {
    pk->plain = false;
    lc_write_byte(pk, LC_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  value(L, pk);
}

/* ---- Tables ---- */

static void begin_table(lua_State *L, lc_packer *pk, const void *key) {
  lc_frame *f = lc_write_open(L, pk, LC_TABLE, lua_gettop(L));
  if (f == NULL)
    return;
  lc_write_remember(pk, key, pk->len, 0);
  unsigned char *p = lc_write_reserve(pk, 9);
  if (p != NULL)
    *p = LC_TABLE;
  lua_pushnil(L); /* the first key */
}

static bool has_field(lua_State *L, int t, const char *name) {
  t = lua_absindex(L, t);
  lua_pushstring(L, name);
  bool yes = lua_rawget(L, t) != LUA_TNIL;
  lua_pop(L, 1);
  return yes;
}

/* Inside a class blob, the table on the top is a class too: give it an id. */
static void define_class(lua_State *L, lc_packer *pk) {
  uint64_t id = lc_class_id(L, -1);
  if (id == 0) {
    id = conc_blob_fresh_id();
    lc_set_class_id(L, -1, id);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, pk->classes, (lua_Integer)lua_rawlen(L, pk->classes) + 1);
  lc_write_byte(pk, LC_DEF);
  lc_write_varint(pk, id);
}

/*
 * The object on the top has __conc_pack.  Opens a frame over what that
 * returns: ... object, result 1, result 2 ...
 */
static void packed(lua_State *L, lc_packer *pk) {
  int obj = lua_gettop(L);
  if (pk->anchors == 0) {
    restart(pk, LC_USER_CODE);
    return;
  }
  luaL_getmetafield(L, obj, "__conc_pack");
  lua_pushvalue(L, obj);
  lua_call(L, 1, LUA_MULTRET);
  int n = lua_gettop(L) - obj;
  int how = n == 0 ? LUA_TNIL : lua_type(L, obj + 1);
  if (how != LUA_TFUNCTION && how != LUA_TSTRING) {
    culprit(L, pk, "%s",
            "__conc_pack must return a function or \"module:field\" first");
    return;
  }
  for (int i = 0; i <= n; i++)
    anchor(L, pk, obj + i);
  lc_frame *f = lc_write_open(L, pk, LC_PACKED, obj);
  if (f == NULL)
    return;
  f->all = (uint32_t)n;
  pk->plain = false;
  lc_write_tagged(pk, LC_PACKED, (uint32_t)n, 4);
}

/* The table on the top has the metatable above it: begin both. */
static void begin_meta(lua_State *L, lc_packer *pk, const void *key) {
  lua_insert(L, -2); /* ... metatable, table */
  lc_frame *f = lc_write_open(L, pk, LC_META, lua_gettop(L) - 1);
  if (f == NULL)
    return;
  f->stage = META_VALUE;
  pk->plain = false;
  lc_write_byte(pk, LC_META);
  begin_table(L, pk, key);
}

/* Begin the table on the top, which was not met and has no name. */
static void new_table(lua_State *L, lc_packer *pk, bool is_class) {
  const void *key = lua_topointer(L, -1);
  anchor(L, pk, -1);
  if (!lua_getmetatable(L, -1)) {
    if (is_class)
      define_class(L, pk);
    begin_table(L, pk, key);
  } else if (has_field(L, -1, "__conc_pack")) {
    lua_pop(L, 1);
    packed(L, pk);
  } else {
    if (is_class) {
      lua_insert(L, -2);
      define_class(L, pk);
      lua_insert(L, -2);
    }
    begin_meta(L, pk, key);
  }
}

static void table(lua_State *L, lc_packer *pk) {
  const void *key = lua_topointer(L, -1);
  conc_blob *code = NULL;
  if (write_seen(L, pk, key))
    return;
  if (key == pk->globals) {
    pk->plain = false;
    lc_write_byte(pk, LC_GLOBALS);
    lua_pop(L, 1);
    return;
  }
  if (lc_mayknow(pk->state, key) && write_known(L, pk, &code))
    return;
  new_table(L, pk, pk->classes != 0 && has_field(L, -1, "__index"));
}

/* Pack the class on the top into a blob of its own; NULL: pk has failed. */
static conc_blob *class_blob(lua_State *L, lc_packer *pk);

/* A class nobody knows yet is on the top. */
static void new_class(lua_State *L, lc_packer *pk) {
  conc_blob *b = class_blob(L, pk);
  if (b == NULL)
    return;
  write_blob(pk, LC_CLASS, b);
  lc_write_varint(pk, lc_class_id(L, -1));
  lua_pop(L, 1);
}

/* The metatable on the top. */
static void metatable(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  lc_pushregistered_name(L, -1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    write_name(pk, LC_REGISTERED, name, len);
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  if (write_seen(L, pk, lua_topointer(L, -1)) || write_known(L, pk, &code) ||
      stale(L, pk))
    return;
  if (has_field(L, -1, "__gc") || has_field(L, -1, "__close"))
    culprit(L, pk, "%s",
            "cannot send an object with __gc or __close but no __conc_pack");
  else if (pk->classes != 0)
    new_table(L, pk, true);
  else
    new_class(L, pk);
}

/* Data turned out to be a class: know it as one and start anew. */
static void turn_into_class(lua_State *L, lc_packer *pk, int slot) {
  lua_pushvalue(L, slot);
  if (class_blob(L, pk) != NULL)
    restart(pk, LC_NEW_CLASS);
}

/* Write the string at -2 as a key; false: it makes the table a class. */
static bool string_key(lua_State *L, lc_packer *pk) {
  size_t len;
  const char *s = lua_tolstring(L, -2, &len);
  if (s[0] == '_' && pk->classes == 0 && strcmp(s, "__index") == 0)
    return false;
  if (len >= LC_SHORTMAX) {
    long_string(pk, s, len);
    return true;
  }
  unsigned char *p = lc_write_reserve(pk, 1 + len);
  if (p != NULL)
    (void)lc_put_string(p, s, len);
  return true;
}

/* The next key and its value are on the top: write one or both. */
static void pair(lua_State *L, lc_packer *pk, lc_frame *f) {
  int type = lua_type(L, -2);
  if (type == LUA_TSTRING) {
    f->m++;
    if (string_key(L, pk))
      value(L, pk);
    else
      turn_into_class(L, pk, f->slot);
  } else if (type == LUA_TNUMBER && f->m == 0 && lua_isinteger(L, -2) &&
             lua_tointeger(L, -2) == (lua_Integer)f->n + 1) {
    f->n++;
    value(L, pk);
  } else {
    f->m++;
    f->stage = PAIR_VALUE;
    lua_pushvalue(L, -2);
    value(L, pk);
  }
}

static void close_table(lua_State *L, lc_packer *pk, const lc_frame *f) {
  lc_write_patch(pk, f->offset + 1, f->n);
  lc_write_patch(pk, f->offset + 5, f->m);
  lua_pop(L, 1);
  pk->nframes--;
}

/* Write on in the table of the innermost frame until another one opens. */
static void step_table(lua_State *L, lc_packer *pk) {
  uint32_t at = pk->nframes - 1;
  while (pk->nframes == at + 1 && !pk->failed) {
    lc_frame *f = &pk->frames[at];
    if (f->stage == PAIR_VALUE) {
      f->stage = ITEMS;
      value(L, pk);
    } else if (lua_next(L, f->slot)) {
      pair(L, pk, f);
    } else {
      close_table(L, pk, f);
      return;
    }
  }
}

/* ---- Userdata ---- */

static void object(lua_State *L, lc_packer *pk, conc_obj *o) {
  lc_remember(L, -1);
  pk->plain = false;
  lc_write_byte(pk, LC_OBJ);
  lc_write_varint(pk, lc_write_reference(pk, o));
  lua_pop(L, 1);
}

static void userdata(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  conc_obj *o = lc_testany(L, -1);
  if (o != NULL && o->cls != &conc_blob_class) {
    object(L, pk, o);
    return;
  }
  if (write_seen(L, pk, lua_topointer(L, -1)) || write_known(L, pk, &code) ||
      stale(L, pk))
    return;
  if (luaL_getmetafield(L, -1, "__conc_pack") != LUA_TNIL) {
    lua_pop(L, 1);
    packed(L, pk);
    return;
  }
  culprit(L, pk, "cannot send a %s", lc_nameof(L, -1));
}

static void pointer(lua_State *L, lc_packer *pk) {
  conc_blob *code = NULL;
  if (!write_known(L, pk, &code) && !stale(L, pk))
    culprit(L, pk, "cannot send a %s", "light userdata");
}

/* ---- The walk ---- */

/* Write the number, string, boolean or nil at 'idx'; false: it is none. */
static inline bool scalar(lua_State *L, lc_packer *pk, int idx, int type) {
  enum { WIDEST = 1 + LC_SHORTMAX };
  size_t len;
  const char *s;
  if (pk->room - pk->len < WIDEST && !lc_write_grow(pk, WIDEST))
    return true; /* it has failed */
  unsigned char *p = pk->buf + pk->len;
  switch (type) {
  case LUA_TNUMBER:
    p = lua_isinteger(L, idx) ? lc_put_integer(p, lua_tointeger(L, idx))
                              : lc_put_number(p, lua_tonumber(L, idx));
    break;
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    if (len >= LC_SHORTMAX) {
      long_string(pk, s, len);
      return true;
    }
    p = lc_put_string(p, s, len);
    break;
  case LUA_TBOOLEAN: *p++ = lua_toboolean(L, idx) ? LC_TRUE : LC_FALSE; break;
  case LUA_TNIL: *p++ = LC_NIL; break;
  default: return false;
  }
  pk->len = (size_t)(p - pk->buf);
  return true;
}

/*
 * Write the value on the top and pop it, or leave it there (and perhaps more
 * above it) with a frame open.
 */
static void value(lua_State *L, lc_packer *pk) {
  int type = lua_type(L, -1);
  if (scalar(L, pk, -1, type)) {
    lua_pop(L, 1);
    return;
  }
  switch (type) {
  case LUA_TTABLE: table(L, pk); break;
  case LUA_TFUNCTION: function(L, pk); break;
  case LUA_TUSERDATA: userdata(L, pk); break;
  case LUA_TLIGHTUSERDATA: pointer(L, pk); break;
  default: culprit(L, pk, "cannot send a %s", "coroutine"); break;
  }
}

static void step_packed(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->n < f->all) {
    lua_pushvalue(L, f->slot + (int)++f->n);
    value(L, pk);
    return;
  }
  /* Only now: a result that leads back to the object has no end. */
  lc_write_remember(pk, lua_topointer(L, f->slot), f->offset, 0);
  lua_settop(L, f->slot - 1);
  pk->nframes--;
}

static void step_meta(lua_State *L, lc_packer *pk, lc_frame *f) {
  if (f->stage == META_VALUE) {
    f->stage = ITEMS;
    metatable(L, pk);
  } else {
    pk->nframes--;
  }
}

/* Work until every frame is closed. */
static void drain(lua_State *L, lc_packer *pk) {
  while (pk->nframes > 0 && !pk->failed) {
    lc_frame *f = &pk->frames[pk->nframes - 1];
    if (f->kind == LC_TABLE)
      step_table(L, pk);
    else if (f->kind == LC_FUNC)
      step_function(L, pk, f);
    else if (f->kind == LC_META)
      step_meta(L, pk, f);
    else
      step_packed(L, pk, f);
  }
}

/* The first byte, when all else is written. */
static void set_flags(lc_packer *pk) {
  unsigned flags = (pk->plain ? LC_PLAIN : 0) | (pk->wide ? LC_WIDE : 0);
  if (!pk->failed)
    pk->buf[0] = (unsigned char)(LC_VERSION | flags);
}

/* ---- Classes ---- */

static int packer_gc(lua_State *L) {
  lc_write_fini(lua_touserdata(L, 1));
  return 0;
}

/* Push a packer of its own and its anchors; for code that may run Lua. */
static lc_packer *push_packer(lua_State *L, lc_packer *like) {
  static const char key = 0;
  luaL_checkstack(L, 20, NULL);
  lc_packer *pk = lua_newuserdatauv(L, sizeof *pk, 0);
  memset(pk, 0, sizeof *pk);
  pk->state = like->state;
  pk->globals = like->globals;
  pk->refreshed = like->refreshed;
  lc_setfinalizer(L, &key, packer_gc);
  lua_newtable(L);
  pk->anchors = lua_gettop(L);
  return pk;
}

/* Write the class at 'cls' and the classes it needs; again at a restart. */
static void write_class(lua_State *L, lc_packer *pk, int cls) {
  int top = lua_gettop(L);
  do {
    lua_settop(L, top);
    lc_write_begin(pk);
    lua_newtable(L);
    pk->classes = top + 1;
    lc_write_byte(pk, LC_VERSION);
    lua_pushvalue(L, cls);
    new_table(L, pk, true);
    drain(L, pk);
    pk->plain = false;
    set_flags(pk);
  } while (pk->again != LC_NO);
}

/* Know every class that was defined in the blob. */
static void know_classes(lua_State *L, const lc_packer *pk, conc_blob *b) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, pk->classes);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, pk->classes, i);
    lc_know_blob(L, -1, b);
    lua_pop(L, 1);
  }
}

static conc_blob *class_blob(lua_State *L, lc_packer *outer) {
  int cls = lua_gettop(L);
  if (outer->anchors == 0) { /* a class may hold objects with __conc_pack */
    restart(outer, LC_USER_CODE);
    return NULL;
  }
  lc_packer *pk = push_packer(L, outer);
  write_class(L, pk, cls);
  if (pk->failed) {
    outer->nomem = pk->nomem;
    culprit(L, outer, "(class)%s", pk->error);
    lua_settop(L, cls);
    return NULL;
  }
  conc_msg m = {0};
  conc_blob *b = NULL;
  lc_box *box = lc_newbox(L, &conc_blob_class);
  if (lc_write_end(pk, &m) != APR_SUCCESS ||
      conc_blob_new(&b, CONC_BLOB_CLASS, &m) != APR_SUCCESS) {
    conc_msg_fini(&m);
    lc_write_nomem(outer);
    return NULL;
  }
  box->obj = &b->obj;
  know_classes(L, pk, b);
  lua_settop(L, cls);
  return b;
}

/* ---- Messages ---- */

/* What error messages call the value at 'i'. */
static const char *label(lua_State *L, const lc_packing *r, int i) {
  bool call = strcmp(r->name, "fn") == 0 || strcmp(r->name, "target") == 0 ||
              strcmp(r->name, "init") == 0;
  if (call && i > r->first)
    return lua_pushfstring(L, "args[%d]", i - r->first);
  if (call || (r->first == r->last && strcmp(r->name, "args") != 0))
    return r->name;
  return lua_pushfstring(L, "%s[%d]", r->name, i - r->first + 1);
}

static int no_pack(lua_State *L, const lc_packer *pk, const lc_packing *r,
                   int i) {
  if (pk->nomem)
    return lc_fail(L, APR_ENOMEM);
  return luaL_error(L, "%s%s", label(L, r, i), pk->error);
}

/* Write all values; the index of the one that failed, or 0. */
static int write_all(lua_State *L, lc_packer *pk, const lc_packing *r) {
  lc_write_begin(pk);
  if (r->extra != NULL)
    lc_write_reference(pk, r->extra);
  lc_write_byte(pk, LC_VERSION | LC_PLAIN);
  for (int i = r->first; i <= r->last; i++) {
    int top = lua_gettop(L);
    if (r->apart != 0 && i > r->apart)
      lc_write_forget(pk);
    lua_pushvalue(L, i);
    value(L, pk);
    drain(L, pk);
    if (pk->failed) {
      lua_settop(L, top);
      return i;
    }
  }
  set_flags(pk);
  return 0;
}

/*
 * The state's own packer, unless it is in use: a finalizer that puts something
 * into a queue may run while a message is being packed.  (It is left marked
 * when memory runs out in the middle; then packing gets slower, no worse.)
 */
static lc_packer *choose_packer(lua_State *L, lc_state *S) {
  if (S->packing)
    return push_packer(L, &S->packer);
  S->packing = true;
  S->packer.refreshed = false;
  return &S->packer;
}

static void done_packing(lc_state *S, const lc_packer *pk) {
  if (pk == &S->packer)
    S->packing = false;
}

/*
 * One number, boolean, nil or short string goes straight into the message.
 * False: it is something else.
 */
static bool pack_scalar(lua_State *L, int idx, conc_msg *m) {
  size_t len;
  const char *s;
  unsigned char *p = m->u.bytes;
  *p++ = LC_VERSION | LC_PLAIN;
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
    p = lua_isinteger(L, idx) ? lc_put_integer(p, lua_tointeger(L, idx))
                              : lc_put_number(p, lua_tonumber(L, idx));
    break;
  case LUA_TSTRING:
    s = lua_tolstring(L, idx, &len);
    if (len > CONC_MSG_INLINE - 2)
      return false;
    p = lc_put_string(p, s, len);
    break;
  case LUA_TBOOLEAN: *p++ = lua_toboolean(L, idx) ? LC_TRUE : LC_FALSE; break;
  case LUA_TNIL: *p++ = LC_NIL; break;
  default: return false;
  }
  m->size = (size_t)(p - m->u.bytes);
  m->nrefs = 0;
  m->heap = false;
  return true;
}

void lc_pack_with(lua_State *L, lc_state *S, const lc_packing *r, conc_msg *m) {
  int top = lua_gettop(L), bad;
  *m = (conc_msg){0};
  luaL_checkstack(L, 20, NULL);
  lc_packer *pk = choose_packer(L, S);
  while ((bad = write_all(L, pk, r)) != 0) {
    lc_write_drop(pk);
    done_packing(S, pk);
    if (pk->again == LC_NO)
      no_pack(L, pk, r, bad);
    if (pk->again == LC_USER_CODE && pk == &S->packer)
      pk = push_packer(L, pk);
    else if (pk == &S->packer)
      S->packing = true;
  }
  apr_status_t st = lc_write_end(pk, m);
  done_packing(S, pk);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  lua_settop(L, top);
}

void lc_pack_one(lua_State *L, int idx, const char *name, conc_msg *m) {
  const lc_packing r = {.first = idx, .last = idx, .name = name};
  if (!pack_scalar(L, idx, m))
    lc_pack_with(L, lc_get(L), &r, m);
}

void lc_pack(lua_State *L, int first, int last, const char *name, conc_msg *m) {
  const lc_packing r = {.first = first, .last = last, .name = name};
  if (first != last || !pack_scalar(L, first, m))
    lc_pack_with(L, lc_open(L), &r, m);
}
