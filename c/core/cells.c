#include "core/cells.h"

#include <string.h>

#include "base/status.h"
#include "core/rlock.h"

/* ---- Types ---- */

enum {
  LONG_KIND = sizeof(long) == 8 ? CONC_CELL_I64 : CONC_CELL_I32,
  ULONG_KIND = sizeof(long) == 8 ? CONC_CELL_U64 : CONC_CELL_U32
};

static const conc_cell_type types[] = {
  {"c", CONC_CELL_CHAR, 1},       {"u", CONC_CELL_WIDE, 4},
  {"b", CONC_CELL_I8, 1},         {"B", CONC_CELL_U8, 1},
  {"h", CONC_CELL_I16, 2},        {"H", CONC_CELL_U16, 2},
  {"i", CONC_CELL_I32, 4},        {"I", CONC_CELL_U32, 4},
  {"l", LONG_KIND, sizeof(long)}, {"L", ULONG_KIND, sizeof(long)},
  {"q", CONC_CELL_I64, 8},        {"Q", CONC_CELL_U64, 8},
  {"f", CONC_CELL_F32, 4},        {"d", CONC_CELL_F64, 8},
  {"i8", CONC_CELL_I8, 1},        {"u8", CONC_CELL_U8, 1},
  {"i16", CONC_CELL_I16, 2},      {"u16", CONC_CELL_U16, 2},
  {"i32", CONC_CELL_I32, 4},      {"u32", CONC_CELL_U32, 4},
  {"i64", CONC_CELL_I64, 8},      {"u64", CONC_CELL_U64, 8},
  {"f32", CONC_CELL_F32, 4},      {"f64", CONC_CELL_F64, 8},
};

_Static_assert(sizeof(int) == 4 && sizeof(float) == 4 && sizeof(double) == 8,
               "the letters mean these sizes");

bool conc_cell_parse(const char *code, size_t len, conc_cell_type *type) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strlen(types[i].code) == len && memcmp(types[i].code, code, len) == 0) {
      *type = types[i];
      return true;
    }
  }
  return false;
}

bool conc_cell_fits(conc_cell_kind kind, int64_t i) {
  switch (kind) {
  case CONC_CELL_I8: return i == (int8_t)i;
  case CONC_CELL_U8: return i == (uint8_t)i;
  case CONC_CELL_I16: return i == (int16_t)i;
  case CONC_CELL_U16: return i == (uint16_t)i;
  case CONC_CELL_I32: return i == (int32_t)i;
  case CONC_CELL_U32: return i == (uint32_t)i;
  default: return true;
  }
}

uint64_t conc_cell_from_double(conc_cell_kind kind, double d) {
  if (kind == CONC_CELL_F32) {
    float f = (float)d;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
  }
  uint64_t bits;
  memcpy(&bits, &d, sizeof bits);
  return bits;
}

/* ---- Read, modify, write ---- */

/* Extend the low bits as conc_cell_load does. */
static uint64_t extend(conc_cell_kind kind, uint64_t bits) {
  switch (kind) {
  case CONC_CELL_I8: return (uint64_t)(int64_t)(int8_t)bits;
  case CONC_CELL_I16: return (uint64_t)(int64_t)(int16_t)bits;
  case CONC_CELL_I32: return (uint64_t)(int64_t)(int32_t)bits;
  default: return bits;
  }
}

static bool swap8(void *p, uint64_t *seen, uint64_t bits) {
  uint8_t old = (uint8_t)*seen;
  bool done =
    atomic_compare_exchange_strong((_Atomic uint8_t *)p, &old, (uint8_t)bits);
  *seen = old;
  return done;
}

static bool swap16(void *p, uint64_t *seen, uint64_t bits) {
  uint16_t old = (uint16_t)*seen;
  bool done =
    atomic_compare_exchange_strong((_Atomic uint16_t *)p, &old, (uint16_t)bits);
  *seen = old;
  return done;
}

static bool swap32(void *p, uint64_t *seen, uint64_t bits) {
  uint32_t old = (uint32_t)*seen;
  bool done =
    atomic_compare_exchange_strong((_Atomic uint32_t *)p, &old, (uint32_t)bits);
  *seen = old;
  return done;
}

bool conc_cell_swap(void *p, conc_cell_kind kind, uint64_t *seen,
                    uint64_t bits) {
  bool done;
  switch (kind) {
  case CONC_CELL_I8:
  case CONC_CELL_U8:
  case CONC_CELL_CHAR: done = swap8(p, seen, bits); break;
  case CONC_CELL_I16:
  case CONC_CELL_U16: done = swap16(p, seen, bits); break;
  case CONC_CELL_I32:
  case CONC_CELL_U32:
  case CONC_CELL_F32:
  case CONC_CELL_WIDE: done = swap32(p, seen, bits); break;
  default:
    return atomic_compare_exchange_strong((_Atomic uint64_t *)p, seen, bits);
  }
  *seen = extend(kind, *seen);
  return done;
}

static bool equal(conc_cell_kind kind, uint64_t a, uint64_t b) {
  if (conc_cell_is_float(kind))
    return conc_cell_to_double(kind, a) == conc_cell_to_double(kind, b);
  return a == b;
}

bool conc_cell_cas(void *p, conc_cell_kind kind, uint64_t expected,
                   uint64_t bits) {
  uint64_t seen = conc_cell_load(p, kind);
  while (equal(kind, seen, expected))
    if (conc_cell_swap(p, kind, &seen, bits))
      return true;
  return false;
}

static bool sum_fits(conc_cell_kind kind, uint64_t a, int64_t by) {
  uint64_t sum = a + (uint64_t)by;
  if (kind == CONC_CELL_U64)
    return by < 0 ? sum < a : sum >= a;
  /* Two's complement: an overflow has a sign that neither part has. */
  if ((int64_t)((a ^ sum) & ((uint64_t)by ^ sum)) < 0)
    return false;
  return conc_cell_fits(kind, (int64_t)sum);
}

apr_status_t conc_cell_add(void *p, conc_cell_kind kind, int64_t by,
                           uint64_t *now) {
  uint64_t seen = conc_cell_load(p, kind);
  do {
    if (!sum_fits(kind, seen, by))
      return CONC_MISUSE;
    *now = seen + (uint64_t)by;
  } while (!conc_cell_swap(p, kind, &seen, *now));
  return APR_SUCCESS;
}

void conc_cell_fadd(void *p, conc_cell_kind kind, double by, uint64_t *now) {
  uint64_t seen = conc_cell_load(p, kind);
  do
    *now = conc_cell_from_double(kind, conc_cell_to_double(kind, seen) + by);
  while (!conc_cell_swap(p, kind, &seen, *now));
}

/* ---- Objects ---- */

static void destroy(conc_obj *o) {
  conc_cells *c = (conc_cells *)o;
  conc_release(atomic_load(&c->lock));
  conc_obj_free(o);
}

const conc_class conc_value_class = {"Value", destroy};
const conc_class conc_array_class = {"Array", destroy};
const conc_class conc_view_class = {"Array", destroy};

/* The first whole line behind the head. */
static char *place_elements(conc_cells *c) {
  uintptr_t end = (uintptr_t)(c + 1);
  return (char *)(c + 1) + (CONC_LINE - end % CONC_LINE) % CONC_LINE;
}

apr_status_t conc_cells_new(conc_cells **out, const conc_cells_conf *conf) {
  enum { BESIDE = sizeof(conc_cells) + 2 * CONC_LINE };
  if (conf->n > (SIZE_MAX - BESIDE) / conf->type.size)
    return APR_ENOMEM;
  size_t bytes = conf->n * conf->type.size;
  bytes += (CONC_LINE - bytes % CONC_LINE) % CONC_LINE;
  conc_cells *c = conc_obj_new(conf->cls, sizeof *c + CONC_LINE + bytes);
  if (c == NULL)
    return APR_ENOMEM;
  c->elements = place_elements(c);
  c->type = conf->type;
  c->n = conf->n;
  c->lockless = conf->lockless;
  if (conf->lock != NULL)
    atomic_init(&c->lock, conc_retain(conf->lock));
  *out = c;
  return APR_SUCCESS;
}

apr_status_t conc_view_new(conc_cells **out, conc_obj *owner,
                           const conc_cell_type *type) {
  conc_cells *c = conc_obj_new(&conc_view_class, sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  c->type = *type;
  c->lockless = true;
  atomic_init(&c->lock, conc_retain(owner));
  *out = c;
  return APR_SUCCESS;
}

apr_status_t conc_cells_lock(conc_cells *c, conc_obj **lock) {
  if (c->lockless)
    return CONC_MISUSE;
  *lock = atomic_load(&c->lock);
  if (*lock != NULL)
    return APR_SUCCESS;
  conc_rlock *fresh;
  apr_status_t st = conc_rlock_new(&fresh);
  if (st != APR_SUCCESS)
    return st;
  if (atomic_compare_exchange_strong(&c->lock, lock, (conc_obj *)fresh))
    *lock = (conc_obj *)fresh;
  else
    conc_release((conc_obj *)fresh); /* another thread was faster: *lock */
  return APR_SUCCESS;
}
