#include "ipc/sevent.h"

const conc_shared_class conc_sevent_class = {
  .cls = {"Event", conc_proxy_destroy},
  .id = CONC_SHARED_EVENT,
  .size = sizeof(conc_sevent),
  .least = sizeof(conc_sevent_word)};

apr_status_t conc_sevent_new(conc_sevent **out) {
  conc_proxy *p;
  apr_status_t st =
    conc_shared_new(&p, &conc_sevent_class, sizeof(conc_sevent_word));
  if (st != APR_SUCCESS)
    return st;
  conc_shared_publish(p);
  *out = (conc_sevent *)p;
  return APR_SUCCESS;
}

void conc_sevent_set(conc_sevent *e) {
  conc_sevent_word *w = conc_sevent_at(e);
  if ((atomic_fetch_or(&w->word, 1) & 1) == 0)
    conc_sgate_notify_all(&w->gate);
}

void conc_sevent_clear(conc_sevent *e) {
  conc_word *word = &conc_sevent_at(e)->word;
  uint32_t v = atomic_load(word);
  /* Odd plus one is even and one clear more. */
  while ((v & 1) != 0 && !atomic_compare_exchange_weak(word, &v, v + 1))
    ;
}

/* Set now, or since it was seen clear? */
struct look {
  const conc_word *word;
  uint32_t seen;
};

static bool was_set(const void *arg) {
  const struct look *l = arg;
  return (l->seen & 1) != 0 || atomic_load(l->word) != l->seen;
}

apr_status_t conc_sevent_wait(conc_sevent *e, uint32_t seen, conc_parker *self,
                              conc_time deadline) {
  conc_sevent_word *w = conc_sevent_at(e);
  struct look l = {&w->word, seen};
  return conc_sgate_await(&w->gate, was_set, &l, self, deadline);
}
