#include "core/lock.h"

const conc_class conc_lock_class = {"Lock", conc_obj_free};

apr_status_t conc_lock_new(conc_lock **out) {
  conc_lock *l = conc_obj_new(&conc_lock_class, sizeof *l);
  if (l == NULL)
    return APR_ENOMEM;
  *out = l;
  return APR_SUCCESS;
}
