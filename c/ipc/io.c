#include "ipc/io.h"

#include "wait/lot.h"

struct waiting {
  conc_sys_watch watch;
  conc_word ready; /* [a] */
};

static bool on_ready(conc_sys_watch *w) {
  struct waiting *p = (struct waiting *)(void *)w;
  atomic_store(&p->ready, 1);
  conc_wake(&p->ready, CONC_ALL);
  return false;
}

/* The watch is stopped before its memory goes, whatever ended the wait. */
apr_status_t conc_io_wait(conc_handle h, unsigned events, conc_parker *self,
                          conc_time deadline) {
  struct waiting p = {.watch = {h, events, on_ready, 0}};
  apr_status_t st = conc_sys_watch_start(&p.watch);
  if (st != APR_SUCCESS)
    return st;
  self->abroad = true;
  while (st == APR_SUCCESS && atomic_load(&p.ready) == 0) {
    conc_waiter one = {.word = &p.ready};
    size_t which;
    st = conc_wait_any(&one, 1, &which, self, deadline);
    if (st == APR_EAGAIN)
      st = APR_SUCCESS;
  }
  self->abroad = false;
  (void)conc_sys_watch_stop(&p.watch);
  return atomic_load(&p.ready) != 0 ? APR_SUCCESS : st;
}
