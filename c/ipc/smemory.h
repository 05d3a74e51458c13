#ifndef CONC_SMEMORY_H
#define CONC_SMEMORY_H

/*
 * A block of memory that processes find by its name, which any process of the
 * same user may, of the same program or not.  The object in the heap says the
 * name; each proxy maps the block.
 */

#include "ipc/shared.h"
#include "sys/shm.h"

/* [c] constant once it is open */
typedef struct conc_smemory {
  conc_proxy proxy;
  conc_named block; /* [c] */
} conc_smemory;

extern const conc_shared_class conc_smemory_class;

typedef struct conc_smemory_conf {
  const char *name;   /* NULL: a new one is made up */
  size_t size;        /* > 0 */
  bool owned;         /* this process removes the name when it ends */
  const void *family; /* see sname.h */
} conc_smemory_conf;

/* APR_EEXIST: the name is taken; CONC_EXHAUSTED: not that much memory. */
apr_status_t conc_smemory_new(conc_smemory **out,
                              const conc_smemory_conf *conf);

/* APR_ENOENT: no block has that name. */
apr_status_t conc_smemory_attach(conc_smemory **out, const char *name);

/* Remove the name; the memory stays while somebody has it.  APR_ENOENT. */
apr_status_t conc_smemory_unlink(conc_smemory *m);

const char *conc_smemory_name(const conc_smemory *m);

static inline char *conc_smemory_bytes(const conc_smemory *m) {
  return m->block.map.base;
}

static inline size_t conc_smemory_size(const conc_smemory *m) {
  return m->block.map.size;
}

#endif
