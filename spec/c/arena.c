/* An arena under random sizes: no block overlaps another or loses its bytes. */

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

enum { BLOCKS = 400, ROUNDS = 200000, MOST = 3000 };

typedef struct {
  unsigned char *p;
  size_t size;
  unsigned char mark;
} held;

static uint32_t random_below(uint32_t n) {
  static uint64_t seed = 1;
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

static bool is_whole(const held *h, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (h->p[i] != h->mark)
      return false;
  return true;
}

/* Mostly small ones, as a Lua state's are. */
static size_t some_size(void) {
  return random_below(random_below(10) == 0 ? MOST : 100);
}

static void change(conc_arena *a, held *h) {
  size_t size = some_size();
  unsigned char *p = conc_arena_alloc(a, h->p, h->size, size);
  CHECK((p == NULL) == (size == 0));
  h->p = p;
  CHECK((uintptr_t)p % 16 == 0);
  CHECK(is_whole(h, h->size < size ? h->size : size));
  h->size = size;
  h->mark = (unsigned char)random_below(256);
  if (p != NULL)
    memset(p, h->mark, size);
}

static void test_random(void) {
  static held blocks[BLOCKS];
  conc_arena *a = conc_arena_new();
  CHECK(a != NULL);
  for (int i = 0; i < ROUNDS; i++) {
    held *h = &blocks[random_below(BLOCKS)];
    CHECK(is_whole(h, h->size));
    change(a, h);
  }
  for (int i = 0; i < BLOCKS; i++)
    CHECK(conc_arena_alloc(a, blocks[i].p, blocks[i].size, 0) == NULL);
  conc_arena_free(a);
}

static void test_empty(void) {
  conc_arena *a = conc_arena_new();
  CHECK(a != NULL);
  CHECK(conc_arena_alloc(a, NULL, 5, 0) == NULL);
  conc_arena_free(a);
}

int main(void) {
  test_empty();
  test_random();
  return 0;
}
