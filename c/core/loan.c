/*
 * Who borrows takes the address and is counted, in one step under the lock.
 * Who settles replaces the address, after which nobody borrows the old one any
 * more, and waits until those who had it have returned it.  A borrower of the
 * loan's own copy is not counted: the copy lives as long as the loan.
 */

#include "core/loan.h"

#include <string.h>

#include "base/mem.h"
#include "wait/mutex.h"

/*
 *   [c] constant after new   [l] guarded by 'lock', a leaf
 *   [a] atomic; raised as [l] only
 */
struct conc_loan {
  conc_obj obj;
  size_t size; /* [c] */
  conc_word lock;
  const char *bytes; /* [l] the lender's, 'own', or NULL */
  char *own;         /* [l] a copy, made when it was settled */
  conc_word readers; /* [a] of the lender's bytes */
};

static void destroy(conc_obj *o) {
  conc_free(((conc_loan *)o)->own);
  conc_obj_free(o);
}

const conc_class conc_loan_class = {"loan", destroy};

conc_loan *conc_loan_new(const char *bytes, size_t size) {
  conc_loan *l = conc_obj_new(&conc_loan_class, sizeof *l);
  if (l == NULL)
    return NULL;
  l->bytes = bytes;
  l->size = size;
  return l;
}

const char *conc_loan_borrow(conc_loan *l, size_t *size) {
  conc_mutex_lock(&l->lock);
  const char *bytes = l->bytes;
  if (bytes != l->own)
    atomic_fetch_add(&l->readers, 1);
  conc_mutex_unlock(&l->lock);
  *size = l->size;
  return bytes;
}

void conc_loan_return(conc_loan *l, const char *bytes) {
  conc_mutex_lock(&l->lock);
  bool lenders = bytes != l->own;
  conc_mutex_unlock(&l->lock);
  if (lenders && atomic_fetch_sub(&l->readers, 1) == 1)
    conc_sys_wake(&l->readers, true);
}

bool conc_loan_idle(conc_loan *l) {
  /* Acquire: pairs with the release of the last one who has read. */
  return atomic_load_explicit(&l->obj.refs, memory_order_acquire) == 1;
}

void conc_loan_settle(conc_loan *l) {
  uint32_t n;
  if (conc_loan_idle(l))
    return;
  char *own = conc_alloc(l->size);
  if (own != NULL)
    memcpy(own, l->bytes, l->size); /* only the lender changes 'bytes' */
  conc_mutex_lock(&l->lock);
  l->bytes = l->own = own;
  conc_mutex_unlock(&l->lock);
  while ((n = atomic_load(&l->readers)) != 0)
    conc_sys_wait(&l->readers, n, -1);
}
