#include "core/blob.h"

#include <stdatomic.h>

static _Atomic uint64_t last;
static _Atomic size_t alive;

uint64_t conc_blob_fresh_id(void) { return atomic_fetch_add(&last, 1) + 1; }

size_t conc_blob_count(void) {
  return atomic_load_explicit(&alive, memory_order_relaxed);
}

static void destroy(conc_obj *o) {
  conc_blob *b = (conc_blob *)o;
  atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
  conc_msg_fini(&b->msg);
  conc_obj_free(o);
}

const conc_class conc_blob_class = {"blob", destroy};

apr_status_t conc_blob_new(conc_blob **out, conc_blob_kind kind,
                           conc_msg *msg) {
  conc_blob *b = conc_obj_new(&conc_blob_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
  b->kind = kind;
  b->id = conc_blob_fresh_id();
  b->msg = conc_msg_take(msg);
  *out = b;
  return APR_SUCCESS;
}
