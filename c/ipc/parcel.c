#include "ipc/parcel.h"

/* What another process wrote is believed only as far as the block goes. */
static apr_status_t open_parcel(conc_proxy *proxy) {
  const conc_parcel *p = proxy->at;
  size_t room = conc_heap_size(conc_proxy_offset(proxy)) - sizeof *p;
  if (p->nrefs > room / sizeof(conc_ref) ||
      p->size > room - p->nrefs * sizeof(conc_ref))
    return CONC_CORRUPT;
  return APR_SUCCESS;
}

static void destroy(void *object) {
  conc_parcel *p = object;
  for (uint64_t i = 0; i < p->nrefs; i++)
    conc_shared_drop(&p->refs[i]);
}

const conc_shared_class conc_parcel_class = {
  .cls = {"Parcel", conc_proxy_destroy},
  .id = CONC_SHARED_PARCEL,
  .size = sizeof(conc_proxy),
  .least = sizeof(conc_parcel),
  .open = open_parcel,
  .destroy = destroy};

apr_status_t conc_parcel_new(conc_proxy **out, size_t size, uint32_t nrefs) {
  conc_proxy *proxy;
  size_t refs = nrefs * sizeof(conc_ref);
  if (size > SIZE_MAX / 2)
    return CONC_EXHAUSTED;
  apr_status_t st = conc_shared_new_raw(&proxy, &conc_parcel_class,
                                        sizeof(conc_parcel) + refs + size);
  if (st != APR_SUCCESS)
    return st;
  conc_parcel *p = proxy->at;
  p->size = size;
  p->nrefs = nrefs;
  for (uint32_t i = 0; i < nrefs; i++)
    atomic_store(&p->refs[i], 0);
  *out = proxy;
  return APR_SUCCESS;
}
