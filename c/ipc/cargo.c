#include "ipc/cargo.h"

#include "base/mem.h"
#include "base/status.h"

apr_status_t conc_cargo_shared(conc_wire *w, const conc_item *item) {
  apr_status_t st = APR_SUCCESS;
  if (item->nshared == 0)
    return st;
  w->shared = conc_alloc(item->nshared * sizeof *w->shared);
  if (w->shared == NULL)
    return APR_ENOMEM;
  while (w->nshared < item->nshared && st == APR_SUCCESS) {
    st = conc_item_shared(item, w->nshared, &w->shared[w->nshared]);
    if (st == APR_SUCCESS)
      w->nshared++;
  }
  return st;
}

apr_status_t conc_cargo_decode(conc_msg *m, const conc_item *item) {
  conc_wire w = {.data = (unsigned char *)(uintptr_t)item->data,
                 .size = item->size};
  apr_status_t st = conc_cargo_shared(&w, item);
  if (st == APR_SUCCESS)
    st = conc_wire_decode(m, &w, true);
  w.data = NULL; /* the item's */
  conc_wire_fini(&w);
  return st;
}

apr_status_t conc_cargo_unload(conc_msg *m, conc_item *item) {
  apr_status_t st = APR_EINVAL;
  if (item->tag == CONC_CARGO_PLAIN || item->tag == CONC_CARGO_BYTES)
    st = conc_msg_make(m, item->data, item->size, NULL, 0);
  else if (item->tag == CONC_CARGO_WIRE)
    st = conc_cargo_decode(m, item);
  conc_item_fini(item);
  return st;
}
