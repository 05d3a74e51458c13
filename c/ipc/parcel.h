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

/*
 * A parcel with room for 'size' bytes and a place for each of the objects,
 * without a proxy: in *place, a new place in the ledger.  CONC_EXHAUSTED.
 */
apr_status_t conc_parcel_pack(conc_ref **place, size_t size,
                              conc_proxy *const *shared, uint32_t nshared);

/* The parcel at 'offset', as far as one can see; or NULL. */
conc_parcel *conc_parcel_at(uint64_t offset);

static inline conc_parcel *conc_parcel_of(const conc_proxy *p) { return p->at; }

static inline unsigned char *conc_parcel_bytes(conc_parcel *p) {
  return (unsigned char *)(p->refs + p->nrefs);
}

#endif
