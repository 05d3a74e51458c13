/*
 * The floor under carrying a large string, and under everything that
 * allocates or locks.
 */
#include "floor.h"

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MIB64 = 64 * 1024 * 1024 };

static char *source, *target;

static char *allocate(size_t size) {
  char *p = malloc(size);
  floor_check(p != NULL, "malloc");
  return p;
}

/* The compiler must believe that what is at p gets read. */
static void keep(void *p) { __asm__ volatile("" : : "g"(p) : "memory"); }

static void copy_touched(long n) {
  for (long i = 0; i < n; i++) {
    memcpy(target, source, MIB64);
    keep(target);
  }
}

static void copy_fresh(long n) {
  for (long i = 0; i < n; i++) {
    char *fresh = allocate(MIB64);
    memcpy(fresh, source, MIB64);
    keep(fresh);
    free(fresh);
  }
}

/* A string that large is pages of its own, which its collection gives back. */
static void push_strings(long n) {
  lua_State *L = luaL_newstate();
  floor_check(L != NULL, "luaL_newstate");
  for (long i = 0; i < n; i++) {
    lua_pushlstring(L, source, MIB64);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
  }
  lua_close(L);
}

static void malloc_free(long n) {
  for (long i = 0; i < n; i++) {
    char *p = allocate(64);
    keep(p);
    free(p);
  }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock_unlock(long n) {
  for (long i = 0; i < n; i++) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
}

static atomic_long counter;

static void atomic_adds(long n) {
  for (long i = 0; i < n; i++)
    atomic_fetch_add(&counter, 1);
}

static double gigabytes(double seconds) { return MIB64 * 1e-9 / seconds; }

int main(void) {
  source = memset(allocate(MIB64), 'x', MIB64);
  target = memset(allocate(MIB64), 'y', MIB64);
  floor_print("memory.memcpy", gigabytes(floor_each(copy_touched, 4)), "GB/s");
  floor_print("memory.memcpy_fresh", gigabytes(floor_each(copy_fresh, 2)),
              "GB/s");
  floor_print("memory.pushlstring", gigabytes(floor_each(push_strings, 2)),
              "GB/s");
  floor_print("memory.malloc_free", floor_each(malloc_free, 2000000) * 1e9,
              "ns");
  floor_print("memory.mutex", floor_each(lock_unlock, 5000000) * 1e9, "ns");
  floor_print("memory.atomic_add", floor_each(atomic_adds, 5000000) * 1e9,
              "ns");
  free(source);
  free(target);
  return 0;
}
