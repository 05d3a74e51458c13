#ifndef LC_POST_H
#define LC_POST_H

/* Tasks for other processes, as bytes: what ipc/lane.h carries. */

#include "lua/lc.h"

/* What the executor wants to know of a task. */
typedef struct lc_post {
  double timeout;   /* seconds, or < 0: none */
  uint32_t retries; /* how often it may lose its process */
  const char *name; /* or NULL */
  size_t len;       /* of the name */
} lc_post;

/*
 * Pack the values into *m, which begins with a conc_lane_head and has the
 * shared objects as references.  Raises as lc_pack_with.
 */
void lc_pack_post(lua_State *L, lc_packing *what, const lc_post *post,
                  conc_msg *m);

#endif
