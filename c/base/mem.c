#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* Beyond this a block is worth telling the system that it will all be used. */
enum { LARGE = 4 << 20 };

/*
 * The countdown, and above it the low half of the number of the thread that it
 * concerns; 0: all threads.  One word, so that nobody counts down what is not
 * his.
 */
static _Atomic uint64_t fault;

static uint32_t countdown(uint64_t f) { return (uint32_t)f; }
static uint32_t concerned(uint64_t f) { return (uint32_t)(f >> 32); }

unsigned conc_mem_fail(unsigned n, bool everywhere) {
  uint64_t whose = n == 0 || everywhere ? 0 : (uint32_t)conc_sys_tid();
  return countdown(atomic_exchange(&fault, whose << 32 | n));
}

/* Relaxed: only a test sets it, and its own thread sees that at once. */
bool conc_mem_fails(void) {
  uint64_t f = atomic_load_explicit(&fault, memory_order_relaxed);
  if (countdown(f) == 0)
    return false;
  uint32_t me = (uint32_t)conc_sys_tid();
  while (countdown(f) != 0 && (concerned(f) == 0 || concerned(f) == me))
    if (atomic_compare_exchange_weak(&fault, &f, f - 1))
      return countdown(f) == 1;
  return false;
}

void *conc_alloc(size_t size) {
  if (conc_mem_fails())
    return NULL;
  void *p = malloc(size);
  if (size >= LARGE && p != NULL)
    conc_sys_large(p, size);
  return p;
}

void *conc_realloc(void *p, size_t size) {
  if (conc_mem_fails())
    return NULL;
  void *q = realloc(p, size);
  if (size >= LARGE && q != NULL)
    conc_sys_large(q, size);
  return q;
}

void conc_free(void *p) { free(p); }

/* Below the line is the address of the whole; malloc leaves room for one. */
void *conc_alloc_lines(size_t size) {
  enum { LINE = 64 };
  char *whole = conc_alloc(size + LINE);
  if (whole == NULL)
    return NULL;
  void **p = (void **)(void *)(whole + LINE - (uintptr_t)whole % LINE);
  p[-1] = whole;
  return p;
}

void conc_free_lines(void *p) {
  if (p != NULL)
    conc_free(((void **)p)[-1]);
}

char *conc_strdup(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = conc_alloc(size);
  return copy == NULL ? NULL : memcpy(copy, s, size);
}
