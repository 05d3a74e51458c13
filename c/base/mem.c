#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* Beyond this a block is worth telling the system that it will all be used. */
enum { LARGE = 4 << 20 };

static conc_word countdown;

unsigned conc_mem_fail(unsigned n) { return atomic_exchange(&countdown, n); }

/* Relaxed: only a test that runs alone sets the countdown. */
bool conc_mem_fails(void) {
  uint32_t n = atomic_load_explicit(&countdown, memory_order_relaxed);
  while (n != 0 && !atomic_compare_exchange_weak(&countdown, &n, n - 1))
    continue;
  return n == 1;
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

char *conc_strdup(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = conc_alloc(size);
  return copy == NULL ? NULL : memcpy(copy, s, size);
}
