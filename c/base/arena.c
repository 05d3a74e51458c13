/*
 * Sizes are rounded up to classes of 16 bytes.  A class has a list of free
 * blocks, linked through their first words; new blocks are cut from the newest
 * chunk.  A block's owner says its size when it gives it back (Lua does), so
 * blocks have no headers, and the size alone says whether a block is small.
 *
 * Invariant: next <= end, and both are multiples of 16 from the chunk's begin.
 *
 * Sanitizers see each block only if it comes from malloc: then all do.
 */

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EACH_BY_ITSELF 1
#endif
#endif

enum {
  UNIT = 16,
#if defined(EACH_BY_ITSELF) || defined(__SANITIZE_ADDRESS__) ||                \
  defined(__SANITIZE_THREAD__)
  SMALL = 0,
#else
  SMALL = 512, /* the largest small block */
#endif
  FIRST = 32 << 10, /* a state with the standard libraries needs about that */
  MOST = 256 << 10
};

typedef struct block {
  struct block *next;
} block;

typedef struct chunk {
  _Alignas(UNIT) struct chunk *next;
} chunk;

struct conc_arena {
  block *free[SMALL / UNIT + 1]; /* by class; [0] is not used */
  char *next, *end;              /* what is left of the newest chunk */
  chunk *chunks;                 /* all */
  size_t size;                   /* the next one's */
};

conc_arena *conc_arena_new(void) {
  conc_arena *a = calloc(1, sizeof *a);
  if (a != NULL)
    a->size = FIRST;
  return a;
}

void conc_arena_free(conc_arena *a) {
  for (chunk *c = a->chunks, *next; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  free(a);
}

static size_t class_of(size_t size) { return (size + UNIT - 1) / UNIT; }

static void put(conc_arena *a, void *p, size_t class) {
  block *b = p;
  b->next = a->free[class];
  a->free[class] = b;
}

/* A new chunk; what is left of the old one is less than a block that was asked
   for, so there is a class for it. */
static void *cut_new(conc_arena *a, size_t size) {
  chunk *c = malloc(a->size);
  if (c == NULL)
    return NULL;
  if (a->next != a->end)
    put(a, a->next, (size_t)(a->end - a->next) / UNIT);
  c->next = a->chunks;
  a->chunks = c;
  a->next = (char *)c + sizeof *c + size;
  a->end = (char *)c + a->size;
  if (a->size < MOST)
    a->size *= 2;
  return (char *)c + sizeof *c;
}

static void *get(conc_arena *a, size_t class) {
  block *b = a->free[class];
  if (b != NULL) {
    a->free[class] = b->next;
    return b;
  }
  size_t size = class * UNIT;
  if ((size_t)(a->end - a->next) < size)
    return cut_new(a, size);
  a->next += size;
  return a->next - size;
}

static void *new_block(conc_arena *a, size_t size) {
  return size <= SMALL ? get(a, class_of(size)) : malloc(size);
}

static void free_block(conc_arena *a, void *p, size_t size) {
  if (size <= SMALL)
    put(a, p, class_of(size));
  else
    free(p);
}

/* Lua relies on it that a block can be made smaller: without memory it stays
   where it is, and is taken for a smaller one from now on. */
static void *move(conc_arena *a, void *p, size_t old, size_t size) {
  void *q = new_block(a, size);
  if (q == NULL && size < old)
    return p;
  if (q != NULL) {
    memcpy(q, p, old < size ? old : size);
    free_block(a, p, old);
  }
  return q;
}

void *conc_arena_alloc(void *arena, void *p, size_t old, size_t size) {
  conc_arena *a = arena;
  if (p == NULL)
    return size == 0 ? NULL : new_block(a, size);
  if (size == 0) {
    if (old != 0)
      free_block(a, p, old);
    return NULL;
  }
  if (old > SMALL && size > SMALL)
    return realloc(p, size);
  if (old <= SMALL && size <= SMALL && class_of(old) == class_of(size))
    return p;
  return move(a, p, old, size);
}
