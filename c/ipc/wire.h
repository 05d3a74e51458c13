#ifndef CONC_WIRE_H
#define CONC_WIRE_H

/*
 * Messages as bytes, for other processes.  Within a process a message refers
 * to the code of functions and to classes by reference; here they come along,
 * each once in a message:
 *
 *   message    varint size, that many bytes (pack.h), varint n, n references
 *   reference  a byte, then
 *     1 CODE, 2 CLASS   u64 id, message
 *     3 SEEN            varint: the n-th CODE or CLASS of the whole once more
 *     4 SHARED          varint: the n-th shared object that goes with it
 *
 * "varint" is LEB128; u64 is little endian.  Ids are unique over processes
 * (blob.h), so a receiver loads a function once, however often it comes.
 */

#include <apr_errno.h>

#include "base/msg.h"
#include "ipc/shared.h"

/*
 * Shared objects (shared.h) do not fit in bytes: whoever carries the bytes
 * puts them into places beside, and the receiver gets them from there.
 */
typedef struct conc_wire {
  unsigned char *data; /* from conc_alloc */
  size_t size;
  conc_proxy **shared; /* from conc_alloc, retained */
  uint32_t nshared;
} conc_wire;

/* A message, or the beginning of one, where it lies. */
typedef struct conc_wire_parts {
  const unsigned char *data;
  size_t size;
  conc_obj *const *refs;
  uint32_t nrefs;
} conc_wire_parts;

static inline conc_wire_parts conc_wire_parts_of(conc_msg *m) {
  return (conc_wire_parts){.data = conc_msg_data(m),
                           .size = m->size,
                           .refs = m->nrefs == 0 ? NULL : conc_msg_refs(m),
                           .nrefs = m->nrefs};
}

/*
 * *w becomes a block with the message as bytes; *m stays.  APR_ENOMEM;
 * CONC_MISUSE: it holds something that cannot leave the process: *what.
 */
apr_status_t conc_wire_encode(conc_wire *w, conc_msg *m,
                              const conc_class **what);
/* The same for a message that is made of these parts. */
apr_status_t conc_wire_encode_parts(conc_wire *w, const conc_wire_parts *parts,
                                    const conc_class **what);
void conc_wire_fini(conc_wire *w);

/*
 * *m becomes the message in w->data, which may be anywhere, with the objects in
 * w->shared; *w stays.  No byte is trusted.  'refs': may it refer to code and
 * classes?  Bytes from a stranger must not: code that is made up can do
 * anything.  APR_ENOMEM; APR_EINVAL: it is none; APR_EACCES: it refers, and
 * may not.
 */
apr_status_t conc_wire_decode(conc_msg *m, const conc_wire *w, bool refs);

#endif
