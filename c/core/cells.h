#ifndef CONC_CELLS_H
#define CONC_CELLS_H

/*
 * Typed cells that threads share: numbers of a fixed machine type, packed as
 * a C array of that type.  A Value is an Array of one.
 *
 * Every access to an element is one atomic operation, and all of them are
 * seq_cst: the threads agree on one order of everything that happens to all
 * cells, which is the only rule users can be expected to reason with.  They
 * are lock-free for every size the processor has atomics for, so that the
 * functions on elements work on any memory, shared between processes too.
 *
 * Elements go in and out as 64 bits: integers extended by their sign or by
 * zeros, F32 and F64 as their bits, CHAR a byte, WIDE a code point.
 */

#include <apr_errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/object.h"

typedef enum {
  CONC_CELL_I8,
  CONC_CELL_U8,
  CONC_CELL_I16,
  CONC_CELL_U16,
  CONC_CELL_I32,
  CONC_CELL_U32,
  CONC_CELL_I64,
  CONC_CELL_U64,
  CONC_CELL_F32,
  CONC_CELL_F64,
  CONC_CELL_CHAR,
  CONC_CELL_WIDE
} conc_cell_kind;

/* A typecode as it was written, and what it means on this machine. */
typedef struct conc_cell_type {
  char code[4];
  uint8_t kind; /* a conc_cell_kind */
  uint8_t size; /* of an element, in bytes */
} conc_cell_type;

/* Python's letters, and i8 u8 ... f64.  False: there is no such typecode. */
bool conc_cell_parse(const char *code, size_t len, conc_cell_type *type);

/* Does the integer fit the integer type?  Into U64 everything does, as bits. */
bool conc_cell_fits(conc_cell_kind kind, int64_t i);

static inline bool conc_cell_is_float(conc_cell_kind kind) {
  return kind == CONC_CELL_F32 || kind == CONC_CELL_F64;
}

/* Between a number and the bits of a float type; F32 rounds. */
uint64_t conc_cell_from_double(conc_cell_kind kind, double d);

static inline double conc_cell_to_double(conc_cell_kind kind, uint64_t bits) {
  if (kind == CONC_CELL_F32) {
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
  }
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

/* ---- One element; 'p' is aligned to its size ---- */

static inline uint64_t conc_cell_load(const void *p, conc_cell_kind kind) {
  switch (kind) {
  case CONC_CELL_I8:
    return (uint64_t)(int64_t)atomic_load((const _Atomic int8_t *)p);
  case CONC_CELL_U8:
  case CONC_CELL_CHAR: return atomic_load((const _Atomic uint8_t *)p);
  case CONC_CELL_I16:
    return (uint64_t)(int64_t)atomic_load((const _Atomic int16_t *)p);
  case CONC_CELL_U16: return atomic_load((const _Atomic uint16_t *)p);
  case CONC_CELL_I32:
    return (uint64_t)(int64_t)atomic_load((const _Atomic int32_t *)p);
  case CONC_CELL_U32:
  case CONC_CELL_F32:
  case CONC_CELL_WIDE: return atomic_load((const _Atomic uint32_t *)p);
  default: return atomic_load((const _Atomic uint64_t *)p);
  }
}

static inline void conc_cell_store(void *p, conc_cell_kind kind,
                                   uint64_t bits) {
  switch (kind) {
  case CONC_CELL_I8:
  case CONC_CELL_U8:
  case CONC_CELL_CHAR: atomic_store((_Atomic uint8_t *)p, (uint8_t)bits); break;
  case CONC_CELL_I16:
  case CONC_CELL_U16:
    atomic_store((_Atomic uint16_t *)p, (uint16_t)bits);
    break;
  case CONC_CELL_I32:
  case CONC_CELL_U32:
  case CONC_CELL_F32:
  case CONC_CELL_WIDE:
    atomic_store((_Atomic uint32_t *)p, (uint32_t)bits);
    break;
  default: atomic_store((_Atomic uint64_t *)p, bits);
  }
}

/*
 * Store 'bits' if the element is bit for bit *seen.  False: it was not, and
 * *seen is what it was.
 */
bool conc_cell_swap(void *p, conc_cell_kind kind, uint64_t *seen,
                    uint64_t bits);

/* Store 'bits' if the element equals 'expected': floats as == has it. */
bool conc_cell_cas(void *p, conc_cell_kind kind, uint64_t expected,
                   uint64_t bits);

/*
 * Add; *now is the sum.  CONC_MISUSE: it does not fit and nothing changed.
 * Into an integer type goes a signed integer, into U64 too; into a float type
 * a double.
 */
apr_status_t conc_cell_add(void *p, conc_cell_kind kind, int64_t by,
                           uint64_t *now);
void conc_cell_fadd(void *p, conc_cell_kind kind, double by, uint64_t *now);

/* ---- Objects ---- */

/*
 * Open, so that bindings reach an element without a call.  The elements lie
 * on cache lines of their own, so that two counters made one after the other
 * do not slow each other down.
 *   [c] constant after new   [a] atomic
 */
typedef struct conc_cells {
  conc_obj obj;
  conc_cell_type type;      /* [c] */
  bool lockless;            /* [c] made with lock = false */
  size_t n;                 /* [c] */
  char *elements;           /* [c] in the same block; [a] each of them */
  _Atomic(conc_obj *) lock; /* [a] NULL until asked for, then it stays; of a
                               view: what has the memory */
} conc_cells;

/* One layout, two types for users. */
extern const conc_class conc_value_class, conc_array_class;

/* An Array over memory that something else has: a view. */
extern const conc_class conc_view_class;

typedef struct conc_cells_conf {
  const conc_class *cls;
  conc_cell_type type;
  size_t n;
  conc_obj *lock; /* a Lock or RLock that goes with the cells, or NULL */
  bool lockless;
} conc_cells_conf;

/* All zeros.  Retains conf->lock. */
apr_status_t conc_cells_new(conc_cells **out, const conc_cells_conf *conf);

/*
 * A view without elements, which keeps 'owner'; the caller says where they are
 * (elements, n).
 */
apr_status_t conc_view_new(conc_cells **out, conc_obj *owner,
                           const conc_cell_type *type);

static inline void *conc_cells_at(conc_cells *c, size_t i) {
  return c->elements + i * c->type.size;
}

/*
 * The lock that goes with the cells, the same for everybody: the one given to
 * new, else an RLock made now.  It lives as long as the cells.  CONC_MISUSE:
 * they were made without one.
 */
apr_status_t conc_cells_lock(conc_cells *c, conc_obj **lock);

#endif
