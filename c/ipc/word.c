#include "ipc/word.h"

#include "sys/shm.h"

/*
 * 'foreign' tells others in this process where the thread sleeps.  It is set
 * before the thread looks at what they ask of it, and they ask before they
 * look at 'foreign' (all seq_cst): either it sees what they ask, or they see
 * where it is and wake it until 'looks' says that it has looked again.
 */

static int64_t left_until(conc_time t) {
  if (t == CONC_FOREVER)
    return -1;
  int64_t left = t - conc_sys_now();
  return left < 0 ? 0 : left;
}

static void sleep_alone(conc_word *w, uint32_t expected, conc_time deadline) {
  int64_t left;
  while (atomic_load(w) == expected && (left = left_until(deadline)) != 0)
    conc_sys_wait_shared(w, expected, left);
}

apr_status_t conc_word_sleep(conc_word *w, uint32_t expected, conc_parker *self,
                             conc_time deadline) {
  apr_status_t st = APR_SUCCESS;
  if (self == NULL) {
    sleep_alone(w, expected, deadline);
    return atomic_load(w) == expected ? APR_TIMEUP : APR_SUCCESS;
  }
  atomic_store(&self->foreign, w);
  while (atomic_load(w) == expected) {
    atomic_fetch_add(&self->looks, 1);
    st = conc_parker_expired(self, deadline);
    if (st != APR_SUCCESS)
      break;
    conc_time until = conc_parker_slice(self, deadline);
    conc_sys_wait_shared(w, expected, left_until(until));
  }
  atomic_store(&self->foreign, NULL);
  return st;
}

bool conc_word_wake(conc_word *w, bool all) {
  return conc_sys_wake_shared(w, all);
}
