#include "core/blob.h"

#include <stdatomic.h>

static _Atomic uint64_t last;

uint64_t conc_blob_fresh_id(void) { return atomic_fetch_add(&last, 1) + 1; }

static void destroy(conc_obj *o) {
  conc_blob *b = (conc_blob *)o;
  conc_msg_fini(&b->msg);
  conc_obj_free(o);
}

const conc_class conc_blob_class = {"blob", destroy};

apr_status_t conc_blob_new(conc_blob **out, conc_blob_kind kind,
                           conc_msg *msg) {
  conc_blob *b = conc_obj_new(&conc_blob_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  b->kind = kind;
  b->id = conc_blob_fresh_id();
  b->msg = conc_msg_take(msg);
  *out = b;
  return APR_SUCCESS;
}
