#include "core/promise.h"

static void destroy(conc_obj *o) {
  conc_promise *p = (conc_promise *)o;
  conc_msg nothing = {0};
  if (conc_future_claim(p->future))
    (void)conc_future_finish(p->future, CONC_FUTURE_FAILED, &nothing);
  conc_release(&p->future->obj);
  conc_obj_free(o);
}

const conc_class conc_promise_class = {"Promise", destroy};

apr_status_t conc_promise_new(conc_promise **out, conc_future *f) {
  conc_promise *p = conc_obj_new(&conc_promise_class, sizeof *p);
  if (p == NULL)
    return APR_ENOMEM;
  conc_retain(&f->obj);
  p->future = f;
  *out = p;
  return APR_SUCCESS;
}
