#ifndef CONC_EVENT_H
#define CONC_EVENT_H

/*
 * An event: a flag that threads wait for.  To be set for a moment is enough:
 * everybody who waited then goes on, even if it is clear again.
 */

#include <apr_errno.h>

#include "base/object.h"
#include "wait/parker.h"

/*
 * Bit 0 of the word says that the event is set, the others count how often it
 * was cleared.  So from a clear word every change is a set.
 */
typedef struct conc_event {
  conc_obj obj;
  conc_word word; /* [a] */
} conc_event;

extern const conc_class conc_event_class;

apr_status_t conc_event_new(conc_event **out);

void conc_event_set(conc_event *e);
void conc_event_clear(conc_event *e);

static inline bool conc_event_is_set(const conc_event *e) {
  return (atomic_load(&e->word) & 1) != 0;
}

/* What a wait begins with: the state from which it looks for a set. */
static inline uint32_t conc_event_look(const conc_event *e) {
  return atomic_load(&e->word);
}

/*
 * Wait until the event is set, or has been since it was 'seen'.  APR_SUCCESS,
 * APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_event_wait(conc_event *e, uint32_t seen, conc_parker *self,
                             conc_time deadline);

#endif
