/***
A table that threads share.

    local d = threading.Dict{done = 0}
    d.name = "crawler"          -- for every thread that holds d
    d.name = nil                -- removes it
    threading.Dict.add(d, "done", 1)
    for key, value in pairs(d) do print(key, value) end

Keys are strings, numbers, booleans and objects of conc; a float with an
integral value is that integer, as in any table of Lua. Values are whatever can
cross between threads. Objects of conc in it, other Dicts too, stay shared; a
plain table is stored as a copy, and read as a copy: `d.list[1] = 5` changes
nothing in d.

Since its fields are its keys, a Dict has no methods: the operations are
functions in the table `Dict`. Each is atomic. `#d` is the number of keys.
`pairs` walks over a snapshot, the Dict as it was when the loop began.

Dicts that hold each other are freed only when the circle is broken, with
`Dict.clear` or by removing an entry.
@classmod Dict
*/

#include <limits.h>

#include "lua/bindings/ldict.h"
#include "lua/state.h"
#include "lua/types.h"

/* The first of at most so many arguments. */
static conc_dict *check(lua_State *L, int most) {
  conc_dict *d = lc_check(L, 1, &conc_dict_class);
  lc_nomore(L, most);
  return d;
}

/* ---- Making ---- */

/***
Make a Dict.
@function Dict
@tparam[opt] table table what is in it at first
@raise on a key or value that cannot be in it
@usage Dict()
Dict{a = 1, b = 2}
*/
int lc_dict(lua_State *L) {
  lc_nomore(L, 1);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1) && !lua_istable(L, 1))
    lc_argerror(L, 1, "table", "table expected, got %s", lc_nameof(L, 1));
  conc_dict *d;
  lc_box *box = lc_newbox(L, &conc_dict_class);
  apr_status_t st = conc_dict_new(&d);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = (conc_obj *)d;
  if (lua_isnil(L, 1))
    return 1;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    conc_key key = ldict_key_at(L, 3, 1);
    ldict_set(L, d, &key, 4, NULL);
    lua_settop(L, 3);
  }
  return 1;
}

/* ---- One entry ---- */

/***
Read an entry; the same as `d[key]` but for the default.
@function get
@tparam Dict d
@param key
@param[opt] default returned when there is no such key
@return the value
*/
static int get(lua_State *L) {
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  lua_settop(L, 3);
  if (!ldict_push(L, d, &key, NULL))
    lua_settop(L, 3);
  return 1;
}

/* The n-th argument may be nil, but not left out. */
static void check_given(lua_State *L, int n, const char *name) {
  if (lua_gettop(L) < n)
    lc_argerror(L, n, name, "missing (nil removes the entry)");
}

/***
Write an entry; the same as `d[key] = value`.
@function set
@tparam Dict d
@param key
@param value nil removes the entry
@raise on a value that cannot cross between threads, with the path of the culprit
*/
static int set(lua_State *L) {
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  check_given(L, 3, "value");
  ldict_set(L, d, &key, 3, "value");
  return 0;
}

/***
Write an entry if there is none yet.
@function setdefault
@tparam Dict d
@param key
@param value not nil
@return the value that is there now
*/
static int setdefault(lua_State *L) {
  uint64_t version;
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  if (lua_isnoneornil(L, 3))
    lc_argerror(L, 3, "value", "nil cannot be in a Dict");
  do {
    lua_settop(L, 3);
    if (ldict_push(L, d, &key, &version))
      return 1;
    lua_pushvalue(L, 3);
  } while (!ldict_replace(L, d, &key, 0, "value"));
  lua_settop(L, 3);
  return 1;
}

/***
Remove an entry.
@function pop
@tparam Dict d
@param key
@param[opt] default returned when there is no such key
@return the value that was there; no other thread gets it too
*/
static int pop(lua_State *L) {
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  lua_settop(L, 3);
  conc_msg m = {0};
  apr_status_t st = conc_dict_set(d, &key, &m);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  if (!ldict_is_empty(&m)) {
    ldict_wrote(L, d, &key);
    ldict_push_msg(L, &m);
  }
  return 1;
}

/* Replace the two numbers on the top by their sum. */
static void add_numbers(lua_State *L) {
  lua_Integer a = lua_tointeger(L, -2), b = lua_tointeger(L, -1);
  lua_Integer sum = (lua_Integer)((lua_Unsigned)a + (lua_Unsigned)b);
  /* Two's complement: an overflow has a sign that neither part has. */
  if (lua_isinteger(L, -2) && lua_isinteger(L, -1) &&
      ((a ^ sum) & (b ^ sum)) < 0)
    lc_argerror(L, 3, "n", "the sum does not fit an integer");
  lua_arith(L, LUA_OPADD);
}

/***
Add to an entry; one that is absent counts as 0.
@function add
@tparam Dict d
@param key
@number n
@return the sum
@raise if the entry holds no number, or on integer overflow; nothing has changed
then
*/
static int add(lua_State *L) {
  uint64_t version;
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  if (lua_type(L, 3) != LUA_TNUMBER)
    lc_argerror(L, 3, "n", "number expected, got %s", lc_nameof(L, 3));
  do {
    lua_settop(L, 3);
    if (!ldict_push(L, d, &key, &version)) {
      lua_pop(L, 1);
      lua_pushinteger(L, 0);
    }
    if (lua_type(L, 4) != LUA_TNUMBER)
      lc_argerror(L, 2, "key", "the entry is a %s, not a number",
                  lc_nameof(L, 4));
    lua_pushvalue(L, 3);
    add_numbers(L);
    lua_pushvalue(L, 4);
  } while (!ldict_replace(L, d, &key, version, "n"));
  return 1;
}

/***
Write `fn(value)`, in one step for all other threads. No lock is held while `fn`
runs: when another thread has changed the entry meanwhile, `fn` is called again
with the new value, so it should do nothing but compute. It cannot yield.
@function update
@tparam Dict d
@param key
@func fn is given the value, or nil, and returns another; nil removes the entry
@return what `fn` returned
@raise what `fn` raises, or if `fn` has written to the entry itself; `update`
has written nothing then
@usage Dict.update(d, "log", function(list)
  list = list or {}
  list[#list + 1] = "started"
  return list
end)
*/
static int update(lua_State *L) {
  uint64_t version;
  conc_dict *d = check(L, 3);
  conc_key key = ldict_key(L, 2);
  lc_function(L, 3, "fn");
  do {
    lua_settop(L, 3);
    lua_pushvalue(L, 3);
    ldict_push(L, d, &key, &version);
    if (!ldict_call(L, d, &key))
      return lc_update_own(L, 3);
    lua_pushvalue(L, 4);
  } while (!ldict_replace(L, d, &key, version, "result of fn"));
  return 1;
}

/* ---- Compare and set ---- */

/* A userdata for a message to come: it is freed whatever is raised then. */
static conc_msg *push_slot(lua_State *L) {
  return lc_pushmsg(L, &(conc_msg){0});
}

/***
Compare and set: write `new` if the entry is `old`.
@function cas
@tparam Dict d
@param key
@param old nil (no entry), a boolean, number, string or object of conc; compared
by `==`
@param new nil removes the entry
@treturn boolean whether it was written
*/
static int cas(lua_State *L) {
  uint64_t version;
  conc_dict *d = check(L, 4);
  conc_key key = ldict_key(L, 2);
  ldict_comparable(L, 3);
  check_given(L, 4, "new");
  conc_msg *old = push_slot(L), *fresh = push_slot(L), *now = push_slot(L);
  ldict_pack(L, 3, "old", old);
  ldict_pack(L, 4, "new", fresh);
  apr_status_t st;
  do {
    conc_msg_fini(now);
    conc_dict_get(d, &key, now, &version);
    if (!ldict_is_old(L, version, now, old)) {
      lua_pushboolean(L, 0);
      return 1;
    }
    st = conc_dict_replace(d, &key, version, fresh);
  } while (st == APR_EAGAIN);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  ldict_wrote(L, d, &key);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- All entries ---- */

/* Push a userdata that owns a snapshot. */
static conc_dict_snapshot *push_snapshot(lua_State *L, conc_dict *d) {
  conc_dict_snapshot *s;
  conc_msg *slot = push_slot(L);
  apr_status_t st = conc_dict_copy(d, &s);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  conc_obj *o = &s->obj;
  conc_msg_make(slot, NULL, 0, &o, 1); /* fits inline: cannot fail */
  return s;
}

static int table_size(size_t n) { return n > INT_MAX ? INT_MAX : (int)n; }

static void push_table(lua_State *L, conc_dict *d) {
  conc_dict_snapshot *s = push_snapshot(L, d);
  lua_createtable(L, 0, table_size(s->n));
  for (size_t i = 0; i < s->n; i++) {
    ldict_push_key(L, s->items[i].key);
    lc_unpack_copy(L, conc_dict_value(&s->items[i].value));
    lua_rawset(L, -3);
  }
}

/***
The Dict as a plain table: what was in it at one moment.
@function snapshot
@tparam Dict d
@treturn table
*/
static int snapshot(lua_State *L) {
  conc_dict *d = check(L, 1);
  push_table(L, d);
  return 1;
}

/***
The keys at one moment, in no order.
@function keys
@tparam Dict d
@treturn table a sequence
*/
static int keys(lua_State *L) {
  conc_dict *d = check(L, 1);
  conc_dict_snapshot *s = push_snapshot(L, d);
  lua_createtable(L, table_size(s->n), 0);
  for (size_t i = 0; i < s->n; i++) {
    ldict_push_key(L, s->items[i].key);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/***
The number of keys; the same as `#d`.
@function len
@tparam Dict d
@treturn int
*/
static int len(lua_State *L) {
  conc_dict *d = check(L, 1);
  lua_pushinteger(L, (lua_Integer)conc_dict_len(d));
  return 1;
}

/***
Remove all entries.
@function clear
@tparam Dict d
*/
static int clear(lua_State *L) {
  conc_dict *d = check(L, 1);
  conc_dict_clear(d);
  if (lc_updating(lc_get(L)))
    lc_wrote(lc_get(L), d, 1); /* every entry of it */
  return 0;
}

/* ---- As a table ---- */

static int meta_index(lua_State *L) {
  conc_dict *d = lc_check(L, 1, &conc_dict_class);
  conc_key key = ldict_key(L, 2);
  ldict_push(L, d, &key, NULL);
  return 1;
}

static int meta_newindex(lua_State *L) {
  conc_dict *d = lc_check(L, 1, &conc_dict_class);
  conc_key key = ldict_key(L, 2);
  ldict_set(L, d, &key, 3, NULL);
  return 0;
}

static int meta_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)conc_dict_len(check(L, 2)));
  return 1;
}

static int step(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

static int meta_pairs(lua_State *L) {
  conc_dict *d = check(L, 2);
  lua_pushcfunction(L, step);
  push_table(L, d);
  lua_remove(L, -2); /* the snapshot: its memory is not needed any longer */
  lua_pushnil(L);
  return 3;
}

const luaL_Reg lc_dict_functions[] = {
  {"get", get}, {"set", set},           {"setdefault", setdefault},
  {"pop", pop}, {"add", add},           {"update", update},
  {"cas", cas}, {"snapshot", snapshot}, {"keys", keys},
  {"len", len}, {"clear", clear},       {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__index", meta_index},
                                       {"__newindex", meta_newindex},
                                       {"__len", meta_len},
                                       {"__pairs", meta_pairs},
                                       {NULL, NULL}};

const lc_type lc_dict_type = {.cls = &conc_dict_class,
                              .metamethods = metamethods};
