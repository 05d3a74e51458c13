#include "ipc/parcel.h"

#include <string.h>

/* What another process wrote is believed only as far as the block goes. */
static bool fits(const conc_parcel *p) {
  size_t room = conc_heap_size(conc_heap_offset(p)) - sizeof *p;
  return p->nrefs <= room / sizeof(conc_ref) &&
         p->size <= room - p->nrefs * sizeof(conc_ref);
}

static apr_status_t open_parcel(conc_proxy *proxy) {
  return fits(proxy->at) ? APR_SUCCESS : CONC_CORRUPT;
}

static void destroy(void *object) {
  conc_parcel *p = object;
  uint64_t n = fits(p) ? p->nrefs : 0;
  for (uint64_t i = 0; i < n; i++)
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

/* A class before there is anything to drop; see conc_shared_brand. */
apr_status_t conc_parcel_pack(conc_ref **place, size_t size,
                              conc_proxy *const *shared, uint32_t nshared) {
  size_t refs = nshared * sizeof(conc_ref);
  conc_ref *mine = conc_ledger_get();
  if (mine == NULL)
    return CONC_EXHAUSTED;
  apr_status_t st =
    size > SIZE_MAX / 2
      ? CONC_EXHAUSTED
      : conc_heap_alloc(mine, sizeof(conc_parcel) + refs + size);
  if (st != APR_SUCCESS) {
    conc_ledger_put(mine);
    return st;
  }
  conc_parcel *p = conc_heap_at(atomic_load(mine));
  p->size = size;
  p->nrefs = nshared;
  memset((void *)p->refs, 0, refs);
  conc_shared_brand(atomic_load(mine), CONC_SHARED_PARCEL);
  for (uint32_t i = 0; i < nshared; i++)
    conc_shared_put(&p->refs[i], shared[i]);
  *place = mine;
  return APR_SUCCESS;
}

conc_parcel *conc_parcel_at(uint64_t offset) {
  if (!conc_heap_valid(offset) ||
      conc_shared_class_of(offset) != CONC_SHARED_PARCEL ||
      conc_heap_size(offset) < sizeof(conc_parcel) ||
      !fits(conc_heap_at(offset)))
    return NULL;
  return conc_heap_at(offset);
}
