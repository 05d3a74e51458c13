#ifndef LC_POST_H
#define LC_POST_H

/*
 * Tasks for other processes.  One that has options (its future's kind is
 * LC_TASK_OPTIONS) is followed, in the same message, by its name and an lc_post,
 * which stay with the executor.
 */

#include "core/future.h"
#include "ipc/wire.h"
#include "lua/lc.h"

/* What the executor wants to know of a task. */
typedef struct lc_post {
  double timeout;   /* seconds, or < 0: none */
  uint32_t retries; /* how often it may lose its process */
  uint32_t len;     /* bytes of its name */
} lc_post;

/*
 * Pack the values into *m, for another process.  Raises as lc_pack_with, and
 * what cannot leave this one.
 */
void lc_pack_post(lua_State *L, lc_packing *what, conc_msg *m);

/* The same for f, with options. */
void lc_pack_options(lua_State *L, lc_packing *what, const lc_post *post,
                     const char *name, conc_future *f);

/* Put so many bytes behind those of *m.  APR_ENOMEM: it is as it was. */
apr_status_t lc_post_append(conc_msg *m, const void *data, size_t more);

/* The options of f's task; *name is in f, of post.len bytes. */
lc_post lc_post_of(conc_future *f, const char **name);
/* It may lose its process once less; false: it may not. */
bool lc_post_retry(conc_future *f);
/* Take the options off f, which is to be run here; false: no memory. */
bool lc_post_strip(conc_future *f);
/* What of f's message travels. */
conc_wire_parts lc_post_parts(conc_future *f);

#endif
