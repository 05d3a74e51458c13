/***
A number that threads share.

    local n = threading.Value("i", 0)
    n.value = 5
    n:add(1)        -- 6; no other thread's addition is ever lost

A Value may be given to any thread; all of them see the same one. Every
operation is atomic, takes no lock and never waits, and all threads see the
operations on all Values and Arrays in one order. `n.value = n.value + 1` is two
operations: use `add` or `update`, or hold `n:get_lock()`.

The type is one of Python's letters or a name that says the size:

<table>
<tr><td>`c`</td><td>one byte, as a string</td></tr>
<tr><td>`u`</td><td>one character, as a string of UTF-8</td></tr>
<tr><td>`b h i l q`</td><td>signed integer of 1, 2, 4, C's long, 8 bytes</td></tr>
<tr><td>`B H I L Q`</td><td>the same, unsigned</td></tr>
<tr><td>`f d`</td><td>float of 4, 8 bytes</td></tr>
<tr><td>`i8 u8 … u64`</td><td>integer, signed or unsigned, of so many bits</td></tr>
<tr><td>`f32 f64`</td><td>float of so many bits</td></tr>
</table>

Numbers are checked as by `string.pack`: an integer type takes integers, and
floats with an integral value, that fit it. The unsigned 64-bit types take every
integer of Lua, and -1 is their largest number. `f32` rounds.
@classmod Value
*/

#include <string.h>

#include "lua/bindings/lcell.h"
#include "lua/types.h"

/* The first of at most so many arguments. */
static conc_cells *check(lua_State *L, int most) {
  conc_cells *c = lcell_check(L, &conc_value_class, &conc_svalue_class);
  lc_nomore(L, most);
  return c;
}

/***
Make a Value.
@function Value
@string type the typecode
@param[opt=0] value what it is at first (`"\0"` for characters)
@param[opt=true] lock what `get_lock` returns: true, an RLock of its own; a Lock
or RLock; false, nothing. May be in a table of options, `{lock = …}`
@raise on a value that does not fit the type
@usage Value("i", 5)
Value{type = "d", value = 0.5, lock = false}
*/
static int make(lua_State *L, const conc_class *cls) {
  static const char *const names[] = {"type", "value", "lock", NULL};
  conc_cells_conf conf = {.cls = cls, .n = 1};
  uint64_t bits = 0;
  lc_options(L, names);
  conf.type = lcell_type(L, 1);
  if (!lua_isnil(L, 2))
    bits = lcell_bits(L, 2, "value", &conf.type);
  lcell_lock_option(L, 3, &conf);
  conc_cells *c = lcell_new(L, &conf);
  conc_cell_store(c->elements, conf.type.kind, bits);
  return 1;
}

int lc_value(lua_State *L) { return make(L, &conc_value_class); }

/* Value(type [, value [, lock]]) of conc.multiprocessing */
int lc_svalue(lua_State *L) { return make(L, &conc_svalue_class.cls); }

/***
Read it; the same as `n.value`.
@function get
@return the number
*/
static int get(lua_State *L) {
  conc_cells *c = check(L, 1);
  lcell_push(L, &c->type, conc_cell_load(c->elements, c->type.kind));
  return 1;
}

/***
Write it; the same as `n.value = v`.
@function set
@param value a number (or character) that fits the type
*/
static int set(lua_State *L) {
  conc_cells *c = check(L, 2);
  return lcell_set(L, c->elements, &c->type, 2);
}

/***
Add to it.
@function add
@number n any integer for an integer type, else any number
@return the sum
@raise if the sum does not fit the type; nothing has changed then
*/
static int add(lua_State *L) {
  conc_cells *c = check(L, 2);
  return lcell_add(L, c->elements, &c->type, 2);
}

/***
Compare and set: write `new` if the value is `expected`.
@function cas
@param expected compared by `==`, after the rounding of `f32`
@param new a number (or character) that fits the type
@treturn boolean whether it was written
*/
static int cas(lua_State *L) {
  conc_cells *c = check(L, 3);
  return lcell_cas(L, c->elements, &c->type, 2);
}

/***
Write `fn(value)`, in one step for all other threads. No lock is held while
`fn` runs: when another thread has changed the value meanwhile, `fn` is called
again with the new one, so it should do nothing but compute. It cannot yield.
@function update
@func fn is given the number and returns another
@return what was written
@raise what `fn` raises, or if its result does not fit, or if `fn` has written to
the Value itself; `update` has written nothing then
@usage n:update(function(x) return math.max(x, 10) end)
*/
static int update(lua_State *L) {
  conc_cells *c = check(L, 2);
  return lcell_update(L, c->elements, &c->type, 2);
}

/***
The lock that goes with this Value, the same for every thread: an RLock, unless
another one was given to the constructor. No operation takes it by itself.
@function get_lock
@treturn RLock|Lock
@raise if the Value was made with `lock = false`
*/
static int get_lock(lua_State *L) {
  conc_cells *c = check(L, 1);
  return lcell_get_lock(L, c);
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

static bool is_value(lua_State *L, int idx) {
  size_t len;
  if (lua_type(L, idx) != LUA_TSTRING)
    return false;
  const char *key = lua_tolstring(L, idx, &len);
  return len == 5 && memcmp(key, "value", 5) == 0;
}

/* The method table is upvalue 2. */
static int meta_index(lua_State *L) {
  conc_cells *c = lcell_check(L, &conc_value_class, &conc_svalue_class);
  if (is_value(L, 2)) {
    lcell_push(L, &c->type, conc_cell_load(c->elements, c->type.kind));
    return 1;
  }
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  return 1;
}

static int meta_newindex(lua_State *L) {
  conc_cells *c = lcell_check(L, &conc_value_class, &conc_svalue_class);
  if (!is_value(L, 2))
    lc_argerror(L, 2, "key", "a Value has one field, 'value', and not '%s'",
                luaL_tolstring(L, 2, NULL));
  return lcell_set(L, c->elements, &c->type, 3);
}

static int meta_tostring(lua_State *L) {
  conc_cells *c = check(L, 2);
  lcell_push(L, &c->type, conc_cell_load(c->elements, c->type.kind));
  lua_pushfstring(L, "Value('%s', %s)", c->type.code,
                  luaL_tolstring(L, -1, NULL));
  return 1;
}

static const luaL_Reg methods[] = {
  {"get", get},           {"set", set},       {"add", add},
  {"cas", cas},           {"update", update}, {"get_lock", get_lock},
  {"typecode", typecode}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__index", meta_index},
                                       {"__newindex", meta_newindex},
                                       {"__tostring", meta_tostring},
                                       {NULL, NULL}};

const lc_type lc_value_type = {
  .cls = &conc_value_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_svalue_type = {.cls = &conc_svalue_class.cls,
                                .methods = methods,
                                .metamethods = metamethods};
