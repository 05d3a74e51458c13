/***
A sequence of numbers of one type that threads share.

    local a = threading.Array("d", 1000)       -- zeros
    local b = threading.Array("i", {1, 2, 3})
    a[1] = 0.5
    b:add(2, 10)                               -- 12

`a[i]` counts from 1; `#a` never changes. `a[#a + 1]` reads nil, so that ipairs
ends; every other index outside raises. Each operation on an element is atomic,
takes no lock and never waits; those on many elements (slices, fill) are a
series of such. The types are those of @{Value}.
@classmod Array
*/

#include <limits.h>
#include <string.h>

#include "lua/bindings/larray_text.h"
#include "lua/bindings/lcell.h"
#include "lua/types.h"

/* The first of at most so many arguments. */
static conc_cells *check(lua_State *L, int most) {
  conc_cells *c = lcell_check(L, &conc_array_class, &conc_sarray_class);
  lc_nomore(L, most);
  return c;
}

static uint64_t load(conc_cells *c, size_t i) {
  return conc_cell_load(conc_cells_at(c, i), c->type.kind);
}

static void store(conc_cells *c, size_t i, uint64_t bits) {
  conc_cell_store(conc_cells_at(c, i), c->type.kind, bits);
}

static int outside(lua_State *L, conc_cells *c, lua_Integer i) {
  if (c->n == 0)
    return lc_argerror(L, 2, "index", "%I, but the Array is empty",
                       (LUAI_UACINT)i);
  return lc_argerror(L, 2, "index", "%I is not in 1 to %I", (LUAI_UACINT)i,
                     (LUAI_UACINT)c->n);
}

/* The element that the argument 2 means. */
static void *check_element(lua_State *L, conc_cells *c) {
  lua_Integer i = lc_integer(L, 2, "index", LUA_MININTEGER, LUA_MAXINTEGER);
  if ((lua_Unsigned)i - 1 >= c->n)
    outside(L, c, i);
  return conc_cells_at(c, (size_t)i - 1);
}

/* ---- Making ---- */

static void store_batch(lua_State *L, conc_cells *c, size_t i,
                        const lcell_batch *b) {
  for (size_t k = 0; k < b->n; k++)
    store(c, i + k, b->bits[k]);
  lcell_wrote(L, conc_cells_at(c, i), b->n * c->type.size);
}

/***
Make an Array.
@function Array
@string type the typecode, see @{Value}
@tparam int|table|Array|string values how many zeros, or a sequence of values;
for the types `c` and `u` a string too
@param[opt=true] lock what `get_lock` returns: true, an RLock of its own; a Lock
or RLock; false, nothing. May be in a table of options, `{lock = …}`
@raise on a value that does not fit the type
@usage Array("i", {1, 2, 3})
Array{type = "d", size = 100, lock = false}
Array{type = "u8", values = {1, 2, 3}}
*/
static int make(lua_State *L, const conc_class *cls) {
  static const char *const names[] = {"type", "values", "lock", "size", NULL};
  conc_cells_conf conf = {.cls = cls};
  lcell_batch *values = NULL;
  if (lua_gettop(L) > 3)
    lc_nomore(L, 3); /* 'size' is for the table only */
  lc_options(L, names);
  conf.type = lcell_type(L, 1);
  lcell_lock_option(L, 3, &conf);
  int size = lua_isnil(L, 4) ? 2 : 4;
  if (size == 4 && !lua_isnil(L, 2))
    lc_argerror(L, 4, "size", "given together with 'values'");
  if (lua_type(L, size) == LUA_TNUMBER || size == 4)
    conf.n = (size_t)lc_integer(L, size, "size", 0, PTRDIFF_MAX / 8);
  else
    values = lcell_values(L, 2, &conf.type);
  if (values != NULL)
    conf.n = values->n;
  conc_cells *c = lcell_new(L, &conf);
  if (values != NULL)
    store_batch(L, c, 0, values);
  return 1;
}

int lc_array(lua_State *L) { return make(L, &conc_array_class); }

/* Array(type, n | sequence [, lock]) of conc.multiprocessing */
int lc_sarray(lua_State *L) { return make(L, &conc_sarray_class.cls); }

/***
A new Array with the same type and elements, and a lock of its own.
@function copy
@treturn Array
*/
static int copy(lua_State *L) {
  conc_cells *c = check(L, 1);
  bool view = c->obj.cls == &conc_view_class;
  conc_cells_conf conf = {.cls = view ? &conc_array_class : c->obj.cls,
                          .type = c->type,
                          .n = c->n,
                          .lockless = c->lockless && !view};
  conc_cells *twin = lcell_new(L, &conf);
  for (size_t i = 0; i < c->n; i++)
    store(twin, i, load(c, i));
  return 1;
}

/* ---- One element ---- */

/***
Read an element; like `a[i]`, but `#a + 1` raises too.
@function get
@int i
@return the number
*/
static int get(lua_State *L) {
  conc_cells *c = check(L, 2);
  lcell_push(L, &c->type, conc_cell_load(check_element(L, c), c->type.kind));
  return 1;
}

/***
Write an element; the same as `a[i] = v`.
@function set
@int i
@param value a number (or character) that fits the type
*/
static int set(lua_State *L) {
  conc_cells *c = check(L, 3);
  return lcell_set(L, check_element(L, c), &c->type, 3);
}

/***
Add to an element.
@function add
@int i
@number n any integer for an integer type, else any number
@return the sum
@raise if the sum does not fit the type; nothing has changed then
*/
static int add(lua_State *L) {
  conc_cells *c = check(L, 3);
  return lcell_add(L, check_element(L, c), &c->type, 3);
}

/***
Compare and set: write `new` if the element is `expected`.
@function cas
@int i
@param expected compared by `==`, after the rounding of `f32`
@param new a number (or character) that fits the type
@treturn boolean whether it was written
*/
static int cas(lua_State *L) {
  conc_cells *c = check(L, 4);
  return lcell_cas(L, check_element(L, c), &c->type, 3);
}

/***
Write `fn(element)`, in one step for all other threads; see @{Value:update}.
@function update
@int i
@func fn is given the number and returns another
@return what was written
@raise what `fn` raises, or if its result does not fit, or if `fn` has written to
the element itself; `update` has written nothing then
*/
static int update(lua_State *L) {
  conc_cells *c = check(L, 3);
  return lcell_update(L, check_element(L, c), &c->type, 3);
}

/* ---- Many elements ---- */

/***
The elements from i to j as a table. Indexes are those of `string.sub`: negative
ones count from the end, and what lies outside is left out.
@function slice
@int[opt=1] i
@int[opt=-1] j
@treturn table
*/
static int slice(lua_State *L) {
  size_t i;
  conc_cells *c = check(L, 3);
  size_t n = lc_range(L, 2, c->n, &i);
  lua_createtable(L, n > INT_MAX ? INT_MAX : (int)n, 0);
  for (size_t k = 0; k < n; k++) {
    lcell_push(L, &c->type, load(c, i + k));
    lua_rawseti(L, -2, (lua_Integer)k + 1);
  }
  return 1;
}

/* A place to begin writing 'n' elements; negative ones count from the end. */
static size_t check_place(lua_State *L, conc_cells *c, int arg, size_t n) {
  lua_Integer i = lc_integer(L, arg, "i", LUA_MININTEGER, LUA_MAXINTEGER);
  lua_Unsigned at = (lua_Unsigned)i - 1;
  if (i < 0)
    at = (lua_Unsigned)i + c->n;
  if (i == 0 || at > c->n || n > c->n - (size_t)at)
    lc_argerror(L, arg, "i", "%I values from %I on are not in 1 to %I",
                (LUAI_UACINT)n, (LUAI_UACINT)i, (LUAI_UACINT)c->n);
  return (size_t)at;
}

/***
Write values to the elements from i on.
@function set_slice
@int i negative: counted from the end
@tparam table|Array|string values as for the constructor
@raise if a value does not fit the type, or they do not fit into the Array;
nothing has changed then
*/
static int set_slice(lua_State *L) {
  conc_cells *c = check(L, 3);
  lc_integer(L, 2, "i", LUA_MININTEGER, LUA_MAXINTEGER);
  const lcell_batch *values = lcell_values(L, 3, &c->type);
  store_batch(L, c, check_place(L, c, 2, values->n), values);
  return 0;
}

/***
Write one value to the elements from i to j, which are those of `string.sub`.
@function fill
@param value
@int[opt=1] i
@int[opt=-1] j
*/
static int fill(lua_State *L) {
  size_t i;
  conc_cells *c = check(L, 4);
  uint64_t bits = lcell_bits(L, 2, "value", &c->type);
  size_t n = lc_range(L, 3, c->n, &i);
  for (size_t k = 0; k < n; k++)
    store(c, i + k, bits);
  lcell_wrote(L, conc_cells_at(c, i), n * c->type.size);
  return 0;
}

/* ---- Bytes ---- */

/***
The elements' bytes as they lie in memory, in the machine's byte order.
@function tobytes
@treturn string
*/
static int tobytes(lua_State *L) {
  luaL_Buffer buffer;
  conc_cells *c = check(L, 1);
  size_t size = c->type.size;
  char *to = luaL_buffinitsize(L, &buffer, c->n * size);
  for (size_t i = 0; i < c->n; i++, to += size) {
    _Alignas(8) char element[8];
    conc_cell_store(element, c->type.kind, load(c, i));
    memcpy(to, element, size);
  }
  luaL_pushresultsize(&buffer, c->n * size);
  return 1;
}

/***
Write bytes, as `tobytes` returns them, to the elements from i on.
@function frombytes
@string bytes as many as make whole elements
@int[opt=1] i negative: counted from the end
@raise if they do not fit into the Array; nothing has changed then
*/
static int frombytes(lua_State *L) {
  conc_cells *c = check(L, 3);
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_pushinteger(L, 1);
    lua_replace(L, 3);
  }
  const lcell_batch *values = lcell_bytes(L, 2, &c->type);
  store_batch(L, c, check_place(L, c, 3, values->n), values);
  return 0;
}

/***
The typecode, as it was given to the constructor.
@function typecode
@treturn string
*/
static int typecode(lua_State *L) {
  conc_cells *c = check(L, 1);
  lua_pushstring(L, c->type.code);
  return 1;
}

/***
The lock that goes with this Array, see @{Value:get_lock}.
@function get_lock
@treturn RLock|Lock
@raise if the Array was made with `lock = false`
*/
static int get_lock(lua_State *L) {
  conc_cells *c = check(L, 1);
  return lcell_get_lock(L, c);
}

/* ---- As a sequence ---- */

/* What is neither an element nor the end: a method, or a mistake. */
static int other_index(lua_State *L, conc_cells *c) {
  if (larray_is_text(L, c))
    return larray_push_text(L, c);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(2)); /* the method table */
    return 1;
  }
  lua_Integer i = lc_integer(L, 2, "index", LUA_MININTEGER, LUA_MAXINTEGER);
  if (i <= 0 || (lua_Unsigned)i - 1 > c->n)
    outside(L, c, i);
  if ((lua_Unsigned)i - 1 == c->n)
    lua_pushnil(L);
  else
    lcell_push(L, &c->type, load(c, (size_t)i - 1));
  return 1;
}

/* Of a view, or with an index that is no element's. */
static LC_APART int index_any(lua_State *L) {
  conc_cells *c = lcell_check(L, &conc_array_class, &conc_sarray_class);
  lua_Unsigned i = lua_isinteger(L, 2) ? (lua_Unsigned)lua_tointeger(L, 2) : 0;
  if (i - 1 >= c->n)
    return other_index(L, c);
  lcell_push_at(L, conc_cells_at(c, (size_t)i - 1), &c->type);
  return 1;
}

static int meta_index(lua_State *L) {
  conc_cells *c = lcell_test(L, &conc_array_class, &conc_sarray_class);
  lua_Unsigned i = lua_isinteger(L, 2) ? (lua_Unsigned)lua_tointeger(L, 2) : 0;
  if (c == NULL || i - 1 >= c->n)
    return index_any(L);
  lcell_push_at(L, conc_cells_at(c, (size_t)i - 1), &c->type);
  return 1;
}

static int meta_newindex(lua_State *L) {
  conc_cells *c = lcell_check(L, &conc_array_class, &conc_sarray_class);
  if (larray_is_text(L, c))
    return larray_set_text(L, c);
  return lcell_set(L, check_element(L, c), &c->type, 3);
}

static int meta_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L, 2)->n);
  return 1;
}

/* The step of pairs: a, i to i + 1, a[i + 1]. */
static int step(lua_State *L) {
  conc_cells *c = check(L, 2);
  lua_Integer i = lc_integer(L, 2, "index", 0, LUA_MAXINTEGER);
  if ((lua_Unsigned)i >= c->n)
    return 0;
  lua_pushinteger(L, i + 1);
  lcell_push(L, &c->type, load(c, (size_t)i));
  return 2;
}

static int meta_pairs(lua_State *L) {
  check(L, 2);
  lua_pushcfunction(L, step);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/* Long ones are cut: this is for people who debug. */
static int meta_tostring(lua_State *L) {
  enum { SHOWN = 8 };
  luaL_Buffer buffer;
  conc_cells *c = check(L, 2);
  luaL_buffinit(L, &buffer);
  lua_pushfstring(L, "Array('%s', {", c->type.code);
  luaL_addvalue(&buffer);
  for (size_t i = 0; i < c->n && i < SHOWN; i++) {
    luaL_addstring(&buffer, i == 0 ? "" : ", ");
    lcell_push(L, &c->type, load(c, i));
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&buffer);
  }
  luaL_addstring(&buffer, c->n > SHOWN ? ", ...})" : "})");
  luaL_pushresult(&buffer);
  return 1;
}

static const luaL_Reg methods[] = {{"get", get},
                                   {"set", set},
                                   {"add", add},
                                   {"cas", cas},
                                   {"update", update},
                                   {"slice", slice},
                                   {"set_slice", set_slice},
                                   {"fill", fill},
                                   {"copy", copy},
                                   {"tobytes", tobytes},
                                   {"frombytes", frombytes},
                                   {"typecode", typecode},
                                   {"get_lock", get_lock},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
  {"__index", meta_index}, {"__newindex", meta_newindex}, {"__len", meta_len},
  {"__pairs", meta_pairs}, {"__tostring", meta_tostring}, {NULL, NULL}};

const lc_type lc_array_type = {
  .cls = &conc_array_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_sarray_type = {.cls = &conc_sarray_class.cls,
                                .methods = methods,
                                .metamethods = metamethods};
const lc_type lc_view_type = {
  .cls = &conc_view_class, .methods = methods, .metamethods = metamethods};
