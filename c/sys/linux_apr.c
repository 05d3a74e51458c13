/*
 * APR is loaded by who needs it first.  lua.c has every name of a library that
 * it loads, and of those that this one needs, bound at once: for APR and libuuid
 * that takes 0.2 ms, a fifth of what an interpreter takes to start and end.  A
 * child process that starts no thread does without.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/apr.h"

#include <apr_strings.h>
#include <apr_version.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#define LIBRARY "libapr-" APR_STRINGIFY(APR_MAJOR_VERSION) ".so.0"

conc_apr_calls conc_apr;

/* [o] constant once 'once' has run */
static char *(*describe)(apr_status_t st, char *text, apr_size_t size);
static apr_status_t found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A pointer to a function from one to an object, as dlsym's users must. */
#define FIND(where, name)                                                      \
  (*(void **)(&(where)) = dlsym(library, name), (where) != NULL)

static bool find_all(void *library) {
  conc_apr_calls *c = &conc_apr;
  return FIND(describe, "apr_strerror") &&
         FIND(c->initialize, "apr_initialize") &&
         FIND(c->pool_create, "apr_pool_create_unmanaged_ex") &&
         FIND(c->pool_destroy, "apr_pool_destroy") &&
         FIND(c->threadattr_create, "apr_threadattr_create") &&
         FIND(c->threadattr_stacksize_set, "apr_threadattr_stacksize_set") &&
         FIND(c->thread_create, "apr_thread_create") &&
         FIND(c->thread_join, "apr_thread_join") &&
         FIND(c->thread_detach, "apr_thread_detach") &&
         FIND(c->dso_load, "apr_dso_load") && FIND(c->dso_sym, "apr_dso_sym");
}

/* It stays loaded. */
static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_NODELETE);
  found = library != NULL && find_all(library) ? APR_SUCCESS : APR_EDSOOPEN;
}

apr_status_t conc_sys_load_apr(void) {
  (void)pthread_once(&once, load);
  return found;
}

const char *conc_sys_strerror(apr_status_t st, char *text, apr_size_t size) {
  if (conc_sys_load_apr() == APR_SUCCESS)
    return describe(st, text, size);
  (void)snprintf(text, size, LIBRARY " cannot be loaded (error %d)", st);
  return text;
}
