/*
 * Cells and Dicts at the level of c/core: what each typecode holds, that no
 * concurrent addition is lost, that the table of a Dict agrees with a model
 * while it grows and shrinks, and that nothing is left behind, also without
 * memory.  CONC_SCALE shrinks the loops.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/cells.h"
#include "core/dict.h"

#include "check.h"

enum { THREADS = 4, WATCHDOG = 300 };

static double scale = 1;

static int scaled(int n) {
  int m = (int)(n * scale);
  return m < 10 ? 10 : m;
}

static void run_threads(void *(*body)(void *), void *arg) {
  pthread_t os[THREADS];
  for (int i = 0; i < THREADS; i++)
    CHECK(pthread_create(&os[i], NULL, body, arg) == 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(os[i], NULL);
}

static uint64_t roll(uint64_t *random, uint64_t n) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return (*random >> 11) % n;
}

/* ---- Cells ---- */

static const char *const integers[] = {
  "b", "B",  "h",  "H",   "i",   "I",   "l",   "L",   "q",
  "Q", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"};
enum { INTEGERS = sizeof integers / sizeof *integers };

static conc_cells *new_array(const char *code, size_t n) {
  conc_cells *c;
  conc_cells_conf conf = {.cls = &conc_array_class, .n = n};
  CHECK(conc_cell_parse(code, strlen(code), &conf.type));
  CHECK(conc_cells_new(&c, &conf) == APR_SUCCESS);
  CHECK((uintptr_t)c->elements % CONC_LINE == 0);
  return c;
}

static int64_t least(const conc_cell_type *t) {
  bool is_signed = t->kind == CONC_CELL_I8 || t->kind == CONC_CELL_I16 ||
                   t->kind == CONC_CELL_I32 || t->kind == CONC_CELL_I64;
  return is_signed ? -(int64_t)(1ull << (8 * t->size - 2)) * 2 : 0;
}

static uint64_t greatest(const conc_cell_type *t) {
  uint64_t all = UINT64_MAX >> (64 - 8 * t->size);
  return least(t) < 0 ? all >> 1 : all;
}

/* Both ends of each type, and one step beyond. */
static void ends_of_types(void) {
  for (int i = 0; i < INTEGERS; i++) {
    conc_cells *c = new_array(integers[i], 3);
    conc_cell_kind kind = c->type.kind;
    void *p = conc_cells_at(c, 1);
    uint64_t lo = (uint64_t)least(&c->type), hi = greatest(&c->type), now = 1;
    CHECK(conc_cell_fits(kind, (int64_t)lo) &&
          conc_cell_fits(kind, (int64_t)hi));
    if (c->type.size < 8)
      CHECK(!conc_cell_fits(kind, (int64_t)lo - 1) &&
            !conc_cell_fits(kind, (int64_t)hi + 1));
    conc_cell_store(p, kind, hi);
    CHECK(conc_cell_load(p, kind) == hi);
    CHECK(conc_cell_add(p, kind, 1, &now) == CONC_MISUSE);
    CHECK(conc_cell_add(p, kind, 0, &now) == APR_SUCCESS && now == hi);
    CHECK(conc_cell_add(p, kind, -1, &now) == APR_SUCCESS && now == hi - 1);
    CHECK(conc_cell_cas(p, kind, hi - 1, lo));
    CHECK(!conc_cell_cas(p, kind, hi - 1, lo));
    CHECK(conc_cell_load(p, kind) == lo);
    CHECK(conc_cell_add(p, kind, -1, &now) == CONC_MISUSE);
    CHECK(conc_cell_add(p, kind, INT64_MIN, &now) == CONC_MISUSE);
    CHECK(conc_cell_load(p, kind) == lo);
    CHECK(conc_cell_load(conc_cells_at(c, 0), kind) == 0);
    CHECK(conc_cell_load(conc_cells_at(c, 2), kind) == 0);
    conc_release(&c->obj);
  }
}

static void floats(void) {
  conc_cells *c = new_array("f", 2);
  uint64_t now, zero = conc_cell_from_double(CONC_CELL_F32, 0.0);
  void *p = conc_cells_at(c, 1);
  conc_cell_store(p, CONC_CELL_F32, conc_cell_from_double(CONC_CELL_F32, -0.0));
  CHECK(conc_cell_cas(p, CONC_CELL_F32, zero,
                      conc_cell_from_double(CONC_CELL_F32, 0.5)));
  conc_cell_fadd(p, CONC_CELL_F32, 0.25, &now);
  CHECK(conc_cell_to_double(CONC_CELL_F32, now) == 0.75);
  uint64_t nan = conc_cell_from_double(CONC_CELL_F32, strtod("nan", NULL));
  conc_cell_store(p, CONC_CELL_F32, nan);
  CHECK(!conc_cell_cas(p, CONC_CELL_F32, nan, zero));
  conc_release(&c->obj);
}

static void *add_to_all(void *arg) {
  conc_cells *c = arg;
  uint64_t now;
  for (int i = scaled(30) * 100; i > 0; i--) {
    for (size_t k = 0; k < c->n; k++) {
      if (conc_cell_is_float(c->type.kind))
        conc_cell_fadd(conc_cells_at(c, k), c->type.kind, 1, &now);
      else
        CHECK(conc_cell_add(conc_cells_at(c, k), c->type.kind, 1, &now) ==
              APR_SUCCESS);
    }
  }
  return NULL;
}

/* Neighbours of all sizes, so that an addition to one could tear another. */
static void no_addition_is_lost(void) {
  static const char *const codes[] = {"h", "H", "i", "Q", "f", "d"};
  int64_t each = (int64_t)scaled(30) * 100 * THREADS;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    conc_cells *c = new_array(codes[i], 5);
    run_threads(add_to_all, c);
    for (size_t k = 0; k < c->n; k++) {
      uint64_t bits = conc_cell_load(conc_cells_at(c, k), c->type.kind);
      if (conc_cell_is_float(c->type.kind))
        CHECK(conc_cell_to_double(c->type.kind, bits) == (double)each);
      else
        CHECK((int64_t)bits == each);
    }
    conc_release(&c->obj);
  }
}

static void *ask_for_lock(void *arg) {
  static _Atomic(conc_obj *) seen;
  conc_cells *c = arg;
  conc_obj *lock, *none = NULL;
  CHECK(conc_cells_lock(c, &lock) == APR_SUCCESS);
  if (!atomic_compare_exchange_strong(&seen, &none, lock))
    CHECK(none == lock);
  return NULL;
}

static void one_lock_for_all(void) {
  conc_cells *c = new_array("i", 1);
  run_threads(ask_for_lock, c);
  conc_release(&c->obj);
}

/* ---- Dicts ---- */

static conc_key int_key(uint64_t i) {
  return (conc_key){.type = CONC_KEY_INTEGER, .u.i = (int64_t)i};
}

/* Small, or too large to be inline; with an object of its own or not. */
static conc_msg new_msg(uint64_t i, bool is_large, bool has_ref) {
  char data[200] = {0};
  conc_msg m;
  conc_obj *ref = has_ref ? &new_array("b", 1)->obj : NULL;
  memcpy(data, &i, sizeof i);
  CHECK(conc_msg_make(&m, data, is_large ? sizeof data : sizeof i, &ref,
                      has_ref) == APR_SUCCESS);
  return m;
}

static conc_msg some_msg(uint64_t i, uint64_t *random) {
  uint64_t r = roll(random, 4);
  return new_msg(i, r & 1, r & 2);
}

static uint64_t msg_number(conc_msg *m) {
  uint64_t i;
  memcpy(&i, conc_msg_data(conc_dict_value(m)), sizeof i);
  return i;
}

/* A random walk of a Dict and of a plain array side by side. */
static void like_a_model(void) {
  enum { KEYS = 3000 };
  static uint64_t model[KEYS];
  uint64_t random = 42, writes = 0;
  size_t len = 0;
  conc_dict *d;
  memset(model, 0, sizeof model);
  CHECK(conc_dict_new(&d) == APR_SUCCESS);
  for (int round = 0; round < 8; round++) {
    for (int i = scaled(20000); i > 0; i--) {
      uint64_t k = roll(&random, KEYS);
      conc_key key = int_key(k);
      bool keep = roll(&random, 10) < (round % 2 == 0 ? 8 : 1);
      conc_msg m = {0};
      if (keep)
        m = some_msg(++writes, &random);
      CHECK(conc_dict_set(d, &key, &m) == APR_SUCCESS);
      CHECK((m.size == 0 && m.nrefs == 0) == (model[k] == 0));
      if (model[k] != 0)
        CHECK(msg_number(&m) == model[k]);
      conc_msg_fini(&m);
      len += (size_t)keep - (model[k] != 0);
      model[k] = keep ? writes : 0;
      CHECK(conc_dict_len(d) == len);
    }
    for (uint64_t k = 0; k < KEYS; k++) {
      conc_msg m = {0};
      conc_key key = int_key(k);
      CHECK(conc_dict_get(d, &key, &m, NULL) == (model[k] != 0));
      CHECK(model[k] == 0 || msg_number(&m) == model[k]);
      conc_msg_fini(&m);
    }
    conc_dict_snapshot *s;
    CHECK(conc_dict_copy(d, &s) == APR_SUCCESS && s->n == len);
    if (round == 5)
      conc_dict_clear(d);
    for (size_t i = 0; i < s->n; i++)
      CHECK(msg_number(&s->items[i].value) == model[s->items[i].key->u.i]);
    if (round == 5) {
      memset(model, 0, sizeof model);
      len = 0;
    }
    conc_release(&s->obj);
  }
  conc_release((conc_obj *)d);
}

static void kinds_of_keys(void) {
  conc_dict *d;
  conc_cells *object = new_array("b", 1);
  conc_key keys[] = {
    {.type = CONC_KEY_BOOLEAN, .u.b = false},
    {.type = CONC_KEY_BOOLEAN, .u.b = true},
    {.type = CONC_KEY_INTEGER, .u.i = 0},
    {.type = CONC_KEY_INTEGER, .u.i = 1},
    {.type = CONC_KEY_FLOAT, .u.d = 0.5},
    {.type = CONC_KEY_STRING, .u.s = "", .len = 0},
    {.type = CONC_KEY_STRING, .u.s = "a\0b", .len = 3},
    {.type = CONC_KEY_STRING, .u.s = "a\0c", .len = 3},
    {.type = CONC_KEY_STRING, .u.s = "12345678", .len = 8},
    {.type = CONC_KEY_OBJECT, .u.o = &object->obj},
  };
  enum { N = sizeof keys / sizeof *keys };
  CHECK(conc_dict_new(&d) == APR_SUCCESS);
  for (uint64_t i = 0; i < N; i++) {
    conc_msg m = new_msg(i, false, false);
    CHECK(conc_dict_set(d, &keys[i], &m) == APR_SUCCESS && m.size == 0);
  }
  conc_release(&object->obj); /* the Dict holds it */
  for (uint64_t i = 0; i < N; i++) {
    conc_msg m = {0};
    CHECK(conc_dict_get(d, &keys[i], &m, NULL) && msg_number(&m) == i);
    conc_msg_fini(&m);
  }
  CHECK(conc_dict_len(d) == N);
  conc_release((conc_obj *)d);
}

enum { COUNTERS = 50 };

/* Optimistic additions, reads, snapshots and other keys that come and go. */
static void *update_counters(void *arg) {
  conc_dict *d = arg;
  uint64_t random = (uintptr_t)&random | 1;
  for (int i = scaled(20000); i > 0; i--) {
    conc_key key = int_key(roll(&random, COUNTERS));
    apr_status_t st;
    do {
      conc_msg m = {0};
      uint64_t version, n = 0;
      if (conc_dict_get(d, &key, &m, &version))
        n = msg_number(&m);
      CHECK((version == 0) == (n == 0));
      conc_msg_fini(&m);
      m = some_msg(n + 1, &random);
      st = conc_dict_replace(d, &key, version, &m);
      conc_msg_fini(&m);
    } while (st == APR_EAGAIN);
    CHECK(st == APR_SUCCESS);
    conc_key other = int_key(COUNTERS + roll(&random, 500));
    conc_msg m = roll(&random, 2) ? some_msg(1, &random) : (conc_msg){0};
    CHECK(conc_dict_set(d, &other, &m) == APR_SUCCESS);
    conc_msg_fini(&m);
    if (i % 500 == 0) {
      conc_dict_snapshot *s;
      CHECK(conc_dict_copy(d, &s) == APR_SUCCESS);
      for (size_t k = 0; k < s->n; k++)
        CHECK(msg_number(&s->items[k].value) != 0);
      conc_release(&s->obj);
    }
  }
  return NULL;
}

static void no_update_is_lost(void) {
  conc_dict *d;
  uint64_t sum = 0;
  CHECK(conc_dict_new(&d) == APR_SUCCESS);
  run_threads(update_counters, d);
  for (uint64_t i = 0; i < COUNTERS; i++) {
    conc_msg m = {0};
    conc_key key = int_key(i);
    if (conc_dict_get(d, &key, &m, NULL))
      sum += msg_number(&m);
    conc_msg_fini(&m);
  }
  CHECK(sum == (uint64_t)scaled(20000) * THREADS);
  conc_release((conc_obj *)d);
}

/* Whatever allocation fails, the Dict and the message are as before. */
static void without_memory(void) {
  conc_dict *d;
  CHECK(conc_dict_new(&d) == APR_SUCCESS);
  for (uint64_t i = 0; i < 100; i++) {
    conc_key key = int_key(i);
    conc_msg m = new_msg(i, true, true);
    apr_status_t st = APR_ENOMEM;
    for (unsigned n = 1; st == APR_ENOMEM; n++) {
      CHECK(msg_number(&m) == i && conc_dict_len(d) == i);
      conc_mem_fail(n, false);
      st = conc_dict_set(d, &key, &m);
      conc_mem_fail(0, false);
      CHECK(n <= 4);
    }
    CHECK(st == APR_SUCCESS && m.size == 0);
  }
  conc_dict_snapshot *s;
  conc_mem_fail(1, false);
  CHECK(conc_dict_copy(d, &s) == APR_ENOMEM);
  conc_release((conc_obj *)d);
}

int main(void) {
  static void (*const tests[])(void) = {
    ends_of_types, floats,       no_addition_is_lost, one_lock_for_all,
    kinds_of_keys, like_a_model, no_update_is_lost,   without_memory};
  const char *env = getenv("CONC_SCALE");
  if (env != NULL)
    scale = atof(env);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    watchdog(WATCHDOG);
    tests[i]();
    CHECK(conc_obj_count() == 0);
  }
  return 0;
}
