#include "core/event.h"

#include "wait/lot.h"

const conc_class conc_event_class = {"Event", conc_obj_free};

apr_status_t conc_event_new(conc_event **out) {
  conc_event *e = conc_obj_new(&conc_event_class, sizeof *e);
  if (e == NULL)
    return APR_ENOMEM;
  *out = e;
  return APR_SUCCESS;
}

void conc_event_set(conc_event *e) {
  if ((atomic_fetch_or(&e->word, 1) & 1) == 0)
    conc_wake(&e->word, CONC_ALL);
}

void conc_event_clear(conc_event *e) {
  uint32_t v = atomic_load(&e->word);
  /* Odd plus one is even and one clear more. */
  while ((v & 1) != 0 && !atomic_compare_exchange_weak(&e->word, &v, v + 1))
    ;
}

/*
 * The wake of an earlier set may come late and choose a wait that began after
 * it: what counts is the word.
 */
apr_status_t conc_event_wait(conc_event *e, uint32_t seen, conc_parker *self,
                             conc_time deadline) {
  while ((seen & 1) == 0 && atomic_load(&e->word) == seen) {
    apr_status_t st = conc_wait(&e->word, seen, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}
