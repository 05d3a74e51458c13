#ifndef CONC_MSG_H
#define CONC_MSG_H

/*
 * A message: packed bytes and the conc objects they speak of.  It is a plain
 * value of 64 bytes, moved by assignment; whoever holds it owns what it owns.
 * Short ones carry everything inside, so a number that passes through a queue
 * costs no allocation.
 *
 * Layout of the contents: 'size' bytes, padding to 8, 'nrefs' references.
 * A message of all zeros is empty and owns nothing.
 */

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/object.h"

enum { CONC_MSG_INLINE = 48 };

typedef struct conc_msg {
  size_t size;    /* bytes of packed data */
  uint32_t nrefs; /* references behind them, one retain each */
  bool heap;      /* contents at u.data, else in u.bytes */
  union {
    _Alignas(8) unsigned char bytes[CONC_MSG_INLINE];
    unsigned char *data;
    void *align;
  } u;
} conc_msg;

_Static_assert(sizeof(conc_msg) == 64, "a message is one cache line");

static inline unsigned char *conc_msg_data(conc_msg *m) {
  return m->heap ? m->u.data : m->u.bytes;
}

static inline size_t conc_msg_refs_at(size_t size) {
  return (size + 7) & ~(size_t)7;
}

static inline conc_obj **conc_msg_refs(conc_msg *m) {
  return (conc_obj **)(void *)(conc_msg_data(m) + conc_msg_refs_at(m->size));
}

/*
 * Make *m of a copy of 'size' bytes and of the references, which it takes
 * over.  APR_ENOMEM: *m is empty and the references are still the caller's.
 */
apr_status_t conc_msg_make(conc_msg *m, const void *data, size_t size,
                           conc_obj *const *refs, uint32_t nrefs);

/* Make *m of a block from conc_alloc that has the layout above already. */
void conc_msg_adopt(conc_msg *m, void *block, size_t size, uint32_t nrefs);

/* Make *m of the same contents, retaining the references once more. */
apr_status_t conc_msg_copy(conc_msg *m, conc_msg *from);

/* Release everything in *m and leave it empty. */
void conc_msg_fini(conc_msg *m);

/* Move: *from is empty afterwards. */
static inline conc_msg conc_msg_take(conc_msg *from) {
  conc_msg m = *from;
  *from = (conc_msg){0};
  return m;
}

#endif
