#ifndef CONC_SYS_APR_H
#define CONC_SYS_APR_H

/*
 * APR's functions as conc calls them: linked, or, on Linux, loaded by the first
 * who needs one (linux_apr.c).  A table of pointers and not APR's own names: a
 * program that has conc and APR in it must find each name once.
 */

#include <apr_dso.h>
#include <apr_errno.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_thread_proc.h>

typedef struct conc_apr_calls {
  apr_status_t (*initialize)(void);
  apr_status_t (*pool_create)(apr_pool_t **out, apr_abortfunc_t abort,
                              apr_allocator_t *allocator);
  void (*pool_destroy)(apr_pool_t *pool);
  apr_status_t (*threadattr_create)(apr_threadattr_t **out, apr_pool_t *pool);
  apr_status_t (*threadattr_stacksize_set)(apr_threadattr_t *attr,
                                           apr_size_t size);
  apr_status_t (*thread_create)(apr_thread_t **out, apr_threadattr_t *attr,
                                apr_thread_start_t run, void *arg,
                                apr_pool_t *pool);
  apr_status_t (*thread_join)(apr_status_t *out, apr_thread_t *thread);
  apr_status_t (*thread_detach)(apr_thread_t *thread);
  apr_status_t (*dso_load)(apr_dso_handle_t **out, const char *path,
                           apr_pool_t *pool);
  apr_status_t (*dso_sym)(apr_dso_handle_sym_t *out, apr_dso_handle_t *library,
                          const char *symbol);
} conc_apr_calls;

/* Whole after conc_init (base/init.h). */
extern conc_apr_calls conc_apr;

/* For conc_init: complete the table.  APR_EDSOOPEN: this machine has no APR. */
apr_status_t conc_sys_load_apr(void);

/* What 'st' says, in 'text': apr_strerror, which needs no conc_init. */
const char *conc_sys_strerror(apr_status_t st, char *text, apr_size_t size);

/* Where APR is linked this is the table, and the rest of this contract. */
#define CONC_APR_LINKED                                                        \
  conc_apr_calls conc_apr = {apr_initialize,                                   \
                             apr_pool_create_unmanaged_ex,                     \
                             apr_pool_destroy,                                 \
                             apr_threadattr_create,                            \
                             apr_threadattr_stacksize_set,                     \
                             apr_thread_create,                                \
                             apr_thread_join,                                  \
                             apr_thread_detach,                                \
                             apr_dso_load,                                     \
                             apr_dso_sym};                                     \
  apr_status_t conc_sys_load_apr(void) { return APR_SUCCESS; }                 \
  const char *conc_sys_strerror(apr_status_t st, char *text,                   \
                                apr_size_t size) {                             \
    return apr_strerror(st, text, size);                                       \
  }

#endif
