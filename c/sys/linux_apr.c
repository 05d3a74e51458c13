/*
 * APR's functions, each found when it is called: the library is loaded by who
 * needs it first.  lua.c has every name of a library that it loads, and of those
 * that this one needs, bound at once: for APR and libuuid that takes 0.2 ms, a
 * fifth of what an interpreter takes to start and end.  A child process that
 * starts no thread does without.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <apr_dso.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <apr_version.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#define LIBRARY "libapr-" APR_STRINGIFY(APR_MAJOR_VERSION) ".so.0"

/* It stays.  Two threads may load it at the same time, and get the same one. */
static void *_Atomic loaded;

static void *find(const char *name) {
  void *library = atomic_load(&loaded);
  if (library == NULL) {
    library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NODELETE);
    atomic_store(&loaded, library);
  }
  return library == NULL ? NULL : dlsym(library, name);
}

/* What 'name' is declared to be, or NULL. */
#define REAL(name)                                                             \
  __typeof__(name) *real;                                                      \
  *(void **)(&real) = find(#name)

#define CALL(name, ...)                                                        \
  REAL(name);                                                                  \
  return real == NULL ? APR_EDSOOPEN : real(__VA_ARGS__)

apr_status_t apr_initialize(void) {
  REAL(apr_initialize);
  return real == NULL ? APR_EDSOOPEN : real();
}

apr_status_t apr_dso_load(apr_dso_handle_t **out, const char *path,
                          apr_pool_t *pool) {
  CALL(apr_dso_load, out, path, pool);
}

apr_status_t apr_dso_sym(apr_dso_handle_sym_t *out, apr_dso_handle_t *library,
                         const char *symbol) {
  CALL(apr_dso_sym, out, library, symbol);
}

apr_status_t apr_pool_create_unmanaged_ex(apr_pool_t **out,
                                          apr_abortfunc_t abort,
                                          apr_allocator_t *allocator) {
  CALL(apr_pool_create_unmanaged_ex, out, abort, allocator);
}

/* Of a pool that was made: APR is there. */
void apr_pool_destroy(apr_pool_t *pool) {
  REAL(apr_pool_destroy);
  real(pool);
}

apr_status_t apr_threadattr_create(apr_threadattr_t **out, apr_pool_t *pool) {
  CALL(apr_threadattr_create, out, pool);
}

apr_status_t apr_threadattr_stacksize_set(apr_threadattr_t *attr,
                                          apr_size_t size) {
  CALL(apr_threadattr_stacksize_set, attr, size);
}

apr_status_t apr_thread_create(apr_thread_t **out, apr_threadattr_t *attr,
                               apr_thread_start_t run, void *arg,
                               apr_pool_t *pool) {
  CALL(apr_thread_create, out, attr, run, arg, pool);
}

apr_status_t apr_thread_join(apr_status_t *out, apr_thread_t *thread) {
  CALL(apr_thread_join, out, thread);
}

apr_status_t apr_thread_detach(apr_thread_t *thread) {
  CALL(apr_thread_detach, thread);
}

char *apr_strerror(apr_status_t st, char *text, apr_size_t size) {
  REAL(apr_strerror);
  if (real != NULL)
    return real(st, text, size);
  (void)snprintf(text, size, LIBRARY " cannot be loaded (error %d)", st);
  return text;
}
