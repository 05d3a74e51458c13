#ifndef CONC_PARCEL_H
#define CONC_PARCEL_H

/*
 * A parcel: bytes and places, for a message that is longer than where it is
 * put, or that waits for a process which is not there yet.  It goes with the
 * last place that holds it, and drops what its own places hold.
 */

#include "ipc/shared.h"

/* The object.  [c] once published, but for 'refs' */
typedef struct conc_parcel {
  uint64_t size;
  uint64_t nrefs;
  conc_ref refs[]; /* then the bytes */
} conc_parcel;

extern const conc_shared_class conc_parcel_class;

/*
 * Room for 'size' bytes, arbitrary, and 'nrefs' places, empty.  The caller
 * fills both in and publishes it.
 */
apr_status_t conc_parcel_new(conc_proxy **out, size_t size, uint32_t nrefs);

static inline conc_parcel *conc_parcel_of(const conc_proxy *p) { return p->at; }

static inline unsigned char *conc_parcel_bytes(conc_parcel *p) {
  return (unsigned char *)(p->refs + p->nrefs);
}

#endif
