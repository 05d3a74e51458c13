/***
A block of memory that processes find by its name.

    -- here                                 -- in another process
    local shm = SharedMemory{create = true, size = 4096}
    print(shm:name())                       local shm = SharedMemory(name)
    shm:write(0, "hello")                   print(shm:read(0, 5))
    local v = shm:array("d", 8, 100)        v[1] = 0.5

The process that creates a block owns its name and removes it when its program
ends, or is found dead; one that attaches to it never does, unless told to. The
memory goes when the name is gone and nobody has the block any more. Offsets count
bytes from 0. It may be sent to other processes, and is the same block there.
@classmod SharedMemory
*/

#include "ipc/smemory.h"

#include <string.h>

#include "core/cells.h"
#include "ipc/sname.h"
#include "ipc/sweeper.h"
#include "lua/bindings/lcell.h"
#include "lua/bindings/lprocess.h"
#include "lua/types.h"

static conc_smemory *check(lua_State *L, int most) {
  conc_smemory *m = lc_check(L, 1, &conc_smemory_class.cls);
  lc_nomore(L, most);
  return m;
}

/* ---- Making ---- */

static int file_error(lua_State *L, const char *cls, const char *name,
                      const char *what) {
  return lc_throw(L, cls, "%s: %s", name, what);
}

static int fail(lua_State *L, apr_status_t st, const char *name) {
  if (APR_STATUS_IS_EEXIST(st))
    return file_error(L, "FileExistsError", name, "the name is taken");
  if (APR_STATUS_IS_ENOENT(st))
    return file_error(L, "FileNotFoundError", name,
                      "no shared memory has that name");
  return lc_fail(L, st);
}

/* The name at 'arg', or NULL. */
static const char *opt_name(lua_State *L, int arg) {
  size_t len;
  if (lua_isnil(L, arg))
    return NULL;
  const char *name = lc_string(L, arg, "name", &len);
  if (len == 0 || len > CONC_NAME_MOST)
    lc_argerror(L, arg, "name", "1 to %d bytes expected", CONC_NAME_MOST);
  if (strlen(name) != len || strchr(name, '/') != NULL)
    lc_argerror(L, arg, "name", "must not contain zeros or slashes");
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    lc_argerror(L, arg, "name", "must not be that of a folder");
  return name;
}

static conc_smemory_conf check_conf(lua_State *L, const char *name) {
  conc_smemory_conf conf = {.name = name};
  conf.size = (size_t)lc_integer(L, 3, "size", 1, PTRDIFF_MAX);
  conf.owned = lc_optboolean(L, 4, "track", true);
  conf.family = lc_get(L)->root;
  return conf;
}

/* (brood, parker): start the sweeper that conc.interpreter tells. */
static int start_sweeper(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "conc.interpreter");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "sweeper");
  lua_call(L, 0, 2);
  const conc_process_how how = {.program = lua_tostring(L, -2),
                                .code = lua_tostring(L, -1),
                                .name = "conc sweeper",
                                .err = CONC_NO_HANDLE,
                                .quiet = true,
                                .outlives = true};
  if (how.program != NULL)
    (void)conc_sweeper_start(lua_touserdata(L, 1), &how, lua_touserdata(L, 2));
  return 0;
}

/*
 * Who removes the name if this process is killed.  Without one, which may be for
 * want of an interpreter, or of processes, the next program does it.
 */
static void want_sweeper(lua_State *L) {
  conc_brood *b = lc_brood(L);
  if (!conc_sweeper_wanted(b))
    return;
  lua_pushcfunction(L, start_sweeper);
  lua_pushlightuserdata(L, b);
  lua_pushlightuserdata(L, lc_self(L));
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/***
Create a block, or attach to one.
@function SharedMemory
@string[opt] name without it a new one is made up
@bool[opt=false] create
@int[opt] size bytes, if it is created; they are zeros
@bool[opt=true] track false: nobody removes the name but `unlink`
@raise FileExistsError, FileNotFoundError; SharedMemoryError when there is not that
much memory
@usage SharedMemory{create = true, size = 1 << 20}
SharedMemory "name"
*/
int lc_smemory(lua_State *L) {
  static const char *const names[] = {"name", "create", "size", "track", NULL};
  conc_smemory_conf conf = {0};
  conc_smemory *m;
  lc_options(L, names);
  const char *name = opt_name(L, 1);
  bool create = lc_optboolean(L, 2, "create", false);
  if (create)
    conf = check_conf(L, name);
  else if (name == NULL)
    lc_argerror(L, 1, "name", "string expected, since nothing is created");
  if (conf.owned)
    want_sweeper(L);
  lc_box *box = lc_newbox(L, &conc_smemory_class.cls);
  apr_status_t st =
    create ? conc_smemory_new(&m, &conf) : conc_smemory_attach(&m, name);
  if (st != APR_SUCCESS)
    return fail(L, st, name == NULL ? "shared memory" : name);
  box->obj = &m->proxy.obj;
  lc_remember(L, -1);
  return 1;
}

/* ---- Its life ---- */

/* In the registry: a closed handle -> its id's bytes and its name. */
static const char closed_key = 0;

static void remember_name(lua_State *L, const conc_smemory *m) {
  luaL_checkstack(L, 6, NULL);
  lc_pushtable(L, &closed_key, "k");
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)&m->block.id, sizeof m->block.id);
  lua_pushstring(L, conc_smemory_name(m));
  lua_concat(L, 2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The name of the closed handle at 1, which stays on the stack, and its id;
   NULL: it is no such. */
static const char *closed_name(lua_State *L, uint64_t *id) {
  const lc_box *box = lc_isbox(L, 1);
  if (box == NULL || box->obj != NULL)
    return NULL;
  lc_pushtable(L, &closed_key, "k");
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) != LUA_TSTRING)
    return NULL;
  const char *s = lua_tostring(L, -1);
  memcpy(id, s, sizeof *id);
  return s + sizeof *id;
}

/***
The name by which others find it, also when this is closed.
@function name
@treturn string
*/
static int get_name(lua_State *L) {
  uint64_t id;
  const char *name = closed_name(L, &id);
  if (name != NULL) {
    lua_pushstring(L, name);
    return 1;
  }
  lua_pushstring(L, conc_smemory_name(check(L, 1)));
  return 1;
}

/***
Bytes; the same as `#shm`.
@function size
@treturn int
*/
static int get_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)conc_smemory_size(check(L, 1)));
  return 1;
}

static int meta_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)conc_smemory_size(check(L, 2)));
  return 1;
}

/***
Give this handle up; arrays over the memory stay valid. The name stays.
@function close
*/
static int close_handle(lua_State *L) {
  lc_nomore(L, 2); /* __close has the error as well */
  lc_box *box = lc_isbox(L, 1);
  if (box == NULL ||
      (box->obj != NULL && box->obj->cls != &conc_smemory_class.cls))
    lc_typeerror(L, 1, &conc_smemory_class.cls);
  conc_obj *o = box->obj;
  if (o != NULL)
    remember_name(L, (const conc_smemory *)o);
  box->obj = NULL;
  conc_release(o);
  return 0;
}

/***
Remove the name, also when this is closed. Who has the block keeps it.
@function unlink
@raise FileNotFoundError when it is removed already
*/
static int unlink_name(lua_State *L) {
  uint64_t id;
  lc_nomore(L, 1);
  const char *name = closed_name(L, &id);
  if (name != NULL) {
    apr_status_t gone = conc_sname_remove(name, id);
    return gone == APR_SUCCESS ? 0 : fail(L, gone, name);
  }
  conc_smemory *m = check(L, 1);
  apr_status_t st = conc_smemory_unlink(m);
  return st == APR_SUCCESS ? 0 : fail(L, st, conc_smemory_name(m));
}

/* ---- Its bytes ---- */

/* The offset at arg and the number of bytes at arg + 1; both optional. */
static size_t check_part(lua_State *L, conc_smemory *m, int arg, size_t *n) {
  lua_Integer size = (lua_Integer)conc_smemory_size(m);
  lua_Integer at = lc_optinteger(L, arg, "offset", 0, 0, size);
  lua_Integer len =
    lc_optinteger(L, arg + 1, "n", size - at, 0, LUA_MAXINTEGER);
  if (len > size - at)
    lc_argerror(L, arg + 1, "n", "%I bytes from %I on are not in 0 to %I",
                (LUAI_UACINT)len, (LUAI_UACINT)at, (LUAI_UACINT)size);
  *n = (size_t)len;
  return (size_t)at;
}

/***
Some of its bytes.
@function read
@int[opt=0] offset
@int[opt] n how many; all that follow
@treturn string
*/
static int read_bytes(lua_State *L) {
  size_t n;
  conc_smemory *m = check(L, 3);
  size_t at = check_part(L, m, 2, &n);
  lua_pushlstring(L, conc_smemory_bytes(m) + at, n);
  return 1;
}

/***
Write bytes.
@function write
@int offset
@string bytes
@raise when they do not fit; nothing is written then
*/
static int write_bytes(lua_State *L) {
  size_t n;
  conc_smemory *m = check(L, 3);
  size_t size = conc_smemory_size(m);
  size_t at = (size_t)lc_integer(L, 2, "offset", 0, (lua_Integer)size);
  const char *bytes = lc_string(L, 3, "bytes", &n);
  if (n > size - at)
    lc_argerror(L, 3, "bytes", "%I bytes from %I on are not in 0 to %I",
                (LUAI_UACINT)n, (LUAI_UACINT)at, (LUAI_UACINT)size);
  memcpy(conc_smemory_bytes(m) + at, bytes, n);
  return 0;
}

/***
Numbers in the memory, as an Array without a lock: reading and writing it is
reading and writing the memory. It keeps the memory, and stays in this process.
@function array
@string type a typecode
@int[opt=0] offset a multiple of the size of an element
@int[opt] n how many elements; as many as fit
@treturn Array
*/
static int make_array(lua_State *L) {
  conc_smemory *m = check(L, 4);
  conc_cell_type type = lcell_type(L, 2);
  lua_Integer size = (lua_Integer)conc_smemory_size(m);
  lua_Integer at = lc_optinteger(L, 3, "offset", 0, 0, size);
  if (at % type.size != 0)
    lc_argerror(L, 3, "offset", "multiple of %d expected", (int)type.size);
  lua_Integer most = (size - at) / type.size;
  lua_Integer n = lc_optinteger(L, 4, "n", most, 0, most);
  lc_box *box = lc_newbox(L, &conc_view_class);
  conc_cells *c;
  apr_status_t st = conc_view_new(&c, &m->proxy.obj, &type);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  c->elements = conc_smemory_bytes(m) + at;
  c->n = (size_t)n;
  box->obj = &c->obj;
  return 1;
}

static int meta_tostring(lua_State *L) {
  const conc_smemory *m =
    (conc_smemory *)lc_check(L, 1, &conc_smemory_class.cls);
  lua_pushfstring(L, "SharedMemory('%s', %I)", conc_smemory_name(m),
                  (LUAI_UACINT)conc_smemory_size(m));
  return 1;
}

static const luaL_Reg methods[] = {
  {"name", get_name},      {"size", get_size},   {"close", close_handle},
  {"unlink", unlink_name}, {"read", read_bytes}, {"write", write_bytes},
  {"array", make_array},   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__len", meta_len},
                                       {"__close", close_handle},
                                       {"__tostring", meta_tostring},
                                       {NULL, NULL}};

const lc_type lc_smemory_type = {.cls = &conc_smemory_class.cls,
                                 .methods = methods,
                                 .metamethods = metamethods};
