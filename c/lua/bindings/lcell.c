#include "lua/bindings/lcell.h"

#include <string.h>

#include "lua/acquired.h"
#include "lua/types.h"

conc_cells *lcell_check_view(lua_State *L, const conc_class *local) {
  conc_obj *o = lc_test(L, 1, &conc_view_class);
  if (o == NULL || local != &conc_array_class)
    lc_typeerror(L, 1, local);
  return (conc_cells *)o;
}

/* ---- Making ---- */

conc_cell_type lcell_type(lua_State *L, int arg) {
  conc_cell_type type;
  size_t len;
  if (lua_type(L, arg) != LUA_TSTRING)
    lc_argerror(L, arg, "type", "typecode expected, got %s", lc_nameof(L, arg));
  const char *code = lua_tolstring(L, arg, &len);
  if (!conc_cell_parse(code, len, &type))
    lc_argerror(L, arg, "type", "unknown typecode '%s'", code);
  return type;
}

static bool is_shared_class(const conc_class *cls) {
  return cls == &conc_svalue_class.cls || cls == &conc_sarray_class.cls;
}

/* {lock = x} at 'arg': put x in its place. */
static void open_options(lua_State *L, int arg) {
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING ||
        strcmp(lua_tostring(L, -1), "lock") != 0)
      lc_argerror(L, arg, "lock", "unknown option '%s'",
                  luaL_tolstring(L, -1, NULL));
  }
  lua_getfield(L, arg, "lock");
  lua_replace(L, arg);
}

void lcell_lock_option(lua_State *L, int arg, conc_cells_conf *conf) {
  conf->lock = NULL;
  conf->lockless = false;
  if (lua_istable(L, arg))
    open_options(L, arg);
  if (lua_isnoneornil(L, arg))
    return;
  if (lua_isboolean(L, arg)) {
    conf->lockless = !lua_toboolean(L, arg);
    return;
  }
  bool shared = is_shared_class(conf->cls);
  conf->lock = lc_optlock(L, arg, shared, "boolean, ");
  lc_remember(L, arg);
}

static conc_cells *new_shared(lua_State *L, lc_box *box,
                              const conc_cells_conf *conf) {
  conc_scells *s;
  apr_status_t st = conc_scells_new(&s, conf);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  box->obj = &s->proxy.obj;
  return &s->view;
}

conc_cells *lcell_new(lua_State *L, const conc_cells_conf *conf) {
  conc_cells *c;
  lc_box *box = lc_newbox(L, conf->cls);
  if (is_shared_class(conf->cls))
    return new_shared(L, box, conf);
  apr_status_t st = conc_cells_new(&c, conf);
  if (st != APR_SUCCESS)
    lc_fail(L, st);
  box->obj = &c->obj;
  return c;
}

int lcell_get_lock(lua_State *L, conc_cells *c) {
  conc_obj *lock;
  apr_status_t st = is_shared_class(c->obj.cls)
                      ? conc_scells_lock(conc_scells_of(c), &lock)
                      : conc_cells_lock(c, &lock);
  if (st == CONC_MISUSE)
    return lc_error(L, "this %s was made with lock = false", c->obj.cls->name);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  lc_push(L, lock);
  return 1;
}

/* ---- From Lua ---- */

static bool is_char(const conc_cell_type *type) {
  return type->kind == CONC_CELL_CHAR || type->kind == CONC_CELL_WIDE;
}

static bool refuse(lua_State *L, int idx, const char *expected) {
  lua_pushfstring(L, "%s expected, got %s", expected, lc_nameof(L, idx));
  return false;
}

static bool misfit(lua_State *L, int idx, const conc_cell_type *type) {
  const char *text = luaL_tolstring(L, idx, NULL);
  lua_pushfstring(L, "%s does not fit '%s'", text, type->code);
  return false;
}

/* The code point at *s as UTF-8, *s behind it; or -1. */
static int64_t decode_utf8(const char **s, const char *end) {
  static const uint32_t least[] = {0x80, 0x800, 0x10000};
  const unsigned char *p = (const unsigned char *)*s;
  size_t n = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
  if ((*p >= 0x80 && n == 0) || *p >= 0xf8 || (size_t)(end - *s) <= n)
    return -1;
  uint32_t c = n == 0 ? *p : *p & (0x3fu >> n);
  for (size_t i = 1; i <= n; i++) {
    if ((p[i] & 0xc0) != 0x80)
      return -1;
    c = c << 6 | (p[i] & 0x3f);
  }
  if (n > 0 && (c < least[n - 1] || c > 0x10ffff || (c >> 11) == 0xd800 >> 11))
    return -1; /* overlong, too large, or half of a surrogate pair */
  *s += n + 1;
  return c;
}

static bool convert_char(lua_State *L, int idx, const conc_cell_type *type,
                         uint64_t *bits) {
  if (lua_type(L, idx) != LUA_TSTRING)
    return refuse(L, idx, "character");
  size_t len;
  const char *s = lua_tolstring(L, idx, &len), *end = s + len;
  if (type->kind == CONC_CELL_CHAR && len == 1) {
    *bits = (unsigned char)*s;
    return true;
  }
  int64_t c =
    type->kind == CONC_CELL_WIDE && len > 0 ? decode_utf8(&s, end) : -1;
  if (c >= 0 && s == end) {
    *bits = (uint64_t)c;
    return true;
  }
  lua_pushfstring(L,
                  type->kind == CONC_CELL_CHAR
                    ? "one byte expected, got %d"
                    : "one UTF-8 character expected, got %d bytes",
                  (int)len);
  return false;
}

/* As string.pack has it: a float with an integral value is an integer. */
static bool convert_integer(lua_State *L, int idx, const conc_cell_type *type,
                            uint64_t *bits) {
  int whole;
  lua_Integer i = lua_tointegerx(L, idx, &whole);
  if (!whole) {
    const char *text = luaL_tolstring(L, idx, NULL);
    lua_pushfstring(L, "%s has no integer representation", text);
    return false;
  }
  *bits = (uint64_t)i;
  return conc_cell_fits(type->kind, i) || misfit(L, idx, type);
}

bool lcell_convert(lua_State *L, int idx, const conc_cell_type *type,
                   uint64_t *bits) {
  if (is_char(type))
    return convert_char(L, idx, type, bits);
  if (lua_type(L, idx) != LUA_TNUMBER)
    return refuse(L, idx, "number");
  if (!conc_cell_is_float(type->kind))
    return convert_integer(L, idx, type, bits);
  *bits = conc_cell_from_double(type->kind, (double)lua_tonumber(L, idx));
  return true;
}

uint64_t lcell_bits(lua_State *L, int arg, const char *name,
                    const conc_cell_type *type) {
  uint64_t bits = 0;
  if (!lcell_convert(L, arg, type, &bits))
    lc_argerror(L, arg, name, "%s", lua_tostring(L, -1));
  return bits;
}

void lcell_push_char(lua_State *L, const conc_cell_type *type, uint64_t bits) {
  char c = (char)bits;
  if (type->kind == CONC_CELL_CHAR)
    lua_pushlstring(L, &c, 1);
  else
    lua_pushfstring(L, "%U", (unsigned long)bits);
}

/* ---- Many values ---- */

static lcell_batch *new_batch(lua_State *L, lua_Integer n) {
  if (n < 0 ||
      (lua_Unsigned)n > (SIZE_MAX - sizeof(lcell_batch)) / sizeof(uint64_t))
    lc_error(L, "conc: a sequence of length %I", (LUAI_UACINT)n);
  lcell_batch *b =
    lua_newuserdatauv(L, sizeof *b + (size_t)n * sizeof *b->bits, 0);
  b->n = (size_t)n;
  return b;
}

static lcell_batch *batch_of_sequence(lua_State *L, int arg,
                                      const conc_cell_type *type) {
  lcell_batch *b = new_batch(L, luaL_len(L, arg));
  for (size_t i = 0; i < b->n; i++) {
    lua_geti(L, arg, (lua_Integer)i + 1);
    if (!lcell_convert(L, -1, type, &b->bits[i])) {
      const char *reason = lua_tostring(L, -1);
      const char *name = lua_pushfstring(L, "values[%I]", (LUAI_UACINT)i + 1);
      lc_argerror(L, arg, name, "%s", reason);
    }
    lua_pop(L, 1);
  }
  return b;
}

/* A string is a sequence of bytes for 'c', of characters for 'u'. */
static lcell_batch *batch_of_string(lua_State *L, int arg,
                                    const conc_cell_type *type) {
  size_t len;
  const char *s = lua_tolstring(L, arg, &len), *end = s + len;
  lcell_batch *b = new_batch(L, (lua_Integer)len);
  for (b->n = 0; s != end; b->n++) {
    int64_t c =
      type->kind == CONC_CELL_CHAR ? (unsigned char)*s++ : decode_utf8(&s, end);
    if (c < 0)
      lc_argerror(L, arg, "values", "not UTF-8");
    b->bits[b->n] = (uint64_t)c;
  }
  return b;
}

lcell_batch *lcell_values(lua_State *L, int arg, const conc_cell_type *type) {
  if (lua_type(L, arg) == LUA_TSTRING && is_char(type))
    return batch_of_string(L, arg, type);
  if (!lua_istable(L, arg) && lc_test(L, arg, &conc_array_class) == NULL &&
      lc_test(L, arg, &conc_sarray_class.cls) == NULL &&
      lc_test(L, arg, &conc_view_class) == NULL)
    lc_argerror(L, arg, "values", "sequence expected, got %s",
                lc_nameof(L, arg));
  return batch_of_sequence(L, arg, type);
}

lcell_batch *lcell_bytes(lua_State *L, int arg, const conc_cell_type *type) {
  size_t len;
  const char *s = lc_string(L, arg, "bytes", &len);
  if (len % type->size != 0)
    lc_argerror(L, arg, "bytes", "%I bytes are not whole elements of %d",
                (LUAI_UACINT)len, (int)type->size);
  lcell_batch *b = new_batch(L, (lua_Integer)(len / type->size));
  for (size_t i = 0; i < b->n; i++) {
    _Alignas(8) char element[8];
    memcpy(element, s + i * type->size, type->size);
    b->bits[i] = conc_cell_load(element, type->kind);
    if (type->kind == CONC_CELL_WIDE && b->bits[i] > 0x10ffff)
      lc_argerror(L, arg, "bytes", "no character");
  }
  return b;
}

/* ---- One element ---- */

int lcell_set(lua_State *L, void *p, const conc_cell_type *type, int arg) {
  conc_cell_store(p, type->kind, lcell_bits(L, arg, "value", type));
  lcell_wrote(L, p, type->size);
  return 0;
}

/* What may be added, whatever the size of the cell. */
static const conc_cell_type any_integer = {"i64", CONC_CELL_I64, 8};
static const conc_cell_type any_float = {"f64", CONC_CELL_F64, 8};

int lcell_add(lua_State *L, void *p, const conc_cell_type *type, int arg) {
  uint64_t now;
  if (is_char(type))
    return lc_argerror(L, 1, "self", "'%s' holds characters, not numbers",
                       type->code);
  if (conc_cell_is_float(type->kind)) {
    uint64_t by = lcell_bits(L, arg, "n", &any_float);
    conc_cell_fadd(p, type->kind, conc_cell_to_double(CONC_CELL_F64, by), &now);
  } else {
    int64_t by = (int64_t)lcell_bits(L, arg, "n", &any_integer);
    if (conc_cell_add(p, type->kind, by, &now) != APR_SUCCESS)
      return lc_argerror(L, arg, "n", "the sum does not fit '%s'", type->code);
  }
  lcell_wrote(L, p, type->size);
  lcell_push(L, type, now);
  return 1;
}

/*
 * What is expected is taken as the cell would hold it, so that an f32 equals
 * the 0.1 that was written to it.  A number that cannot be in the cell is
 * never equal; something that is not a number is a mistake.
 */
int lcell_cas(lua_State *L, void *p, const conc_cell_type *type, int arg) {
  uint64_t expected;
  int top = lua_gettop(L);
  bool possible = lcell_convert(L, arg, type, &expected);
  if (!possible && (is_char(type) || lua_type(L, arg) != LUA_TNUMBER))
    return lc_argerror(L, arg, "expected", "%s", lua_tostring(L, -1));
  lua_settop(L, top);
  uint64_t bits = lcell_bits(L, arg + 1, "new", type);
  bool written = possible && conc_cell_cas(p, type->kind, expected, bits);
  if (written)
    lcell_wrote(L, p, type->size);
  lua_pushboolean(L, written);
  return 1;
}

int lcell_update(lua_State *L, void *p, const conc_cell_type *type, int arg) {
  lc_function(L, arg, "fn");
  lc_state *S = lc_get(L);
  uint64_t seen = conc_cell_load(p, type->kind), bits;
  do {
    lua_settop(L, arg);
    lua_pushvalue(L, arg);
    lcell_push(L, type, seen);
    lc_update u;
    lc_update_begin(L, &u, p, 0);
    lua_call(L, 1, 1);
    if (lc_update_end(S, &u))
      return lc_update_own(L, arg);
    if (!lcell_convert(L, -1, type, &bits))
      return lc_argerror(L, arg, "result of fn", "%s", lua_tostring(L, -1));
  } while (!conc_cell_swap(p, type->kind, &seen, bits));
  lcell_wrote(L, p, type->size);
  lcell_push(L, type, bits);
  return 1;
}
