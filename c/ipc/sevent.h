#ifndef CONC_SEVENT_H
#define CONC_SEVENT_H

/* The event of core/event.h in shared memory. */

#include "base/status.h"
#include "ipc/sgate.h"
#include "ipc/shared.h"

/*
 * The object.  Bit 0 of the word says that the event is set, the others count
 * how often it was cleared.
 *   [a] atomic
 */
typedef struct conc_sevent_word {
  conc_word word; /* [a] */
  conc_sgate gate;
} conc_sevent_word;

typedef struct conc_sevent {
  conc_proxy proxy;
} conc_sevent;

extern const conc_shared_class conc_sevent_class;

apr_status_t conc_sevent_new(conc_sevent **out);

static inline conc_sevent_word *conc_sevent_at(const conc_sevent *e) {
  return e->proxy.at;
}

/* As in core/event.h. */
void conc_sevent_set(conc_sevent *e);
void conc_sevent_clear(conc_sevent *e);

static inline bool conc_sevent_is_set(const conc_sevent *e) {
  return (atomic_load(&conc_sevent_at(e)->word) & 1) != 0;
}

static inline uint32_t conc_sevent_look(const conc_sevent *e) {
  return atomic_load(&conc_sevent_at(e)->word);
}

apr_status_t conc_sevent_wait(conc_sevent *e, uint32_t seen, conc_parker *self,
                              conc_time deadline);

#endif
