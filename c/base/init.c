#include "base/init.h"

#include "sys/apr.h"
#include "sys/sys.h"

apr_status_t conc_init(void) {
  enum { NEW, BUSY, READY };
  static conc_word stage;
  apr_status_t st = APR_SUCCESS;
  uint32_t is = NEW;
  while (!atomic_compare_exchange_strong(&stage, &is, BUSY)) {
    if (is == READY)
      return APR_SUCCESS;
    is = NEW;
    conc_sys_yield();
  }
  st = conc_sys_load_apr();
  if (st == APR_SUCCESS)
    st = conc_apr.initialize();
  if (st == APR_SUCCESS)
    conc_sys_pin();
  atomic_store(&stage, st == APR_SUCCESS ? READY : NEW);
  return st;
}
