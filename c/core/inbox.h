#ifndef CONC_INBOX_H
#define CONC_INBOX_H

/*
 * Where a Lua state hears that futures are done: notes come in from whoever
 * ends them, and the state's parker is told, so that a wait of its owner ends
 * for a moment (CONC_INTERRUPTED).
 */

#include "core/future.h"

typedef struct conc_inbox conc_inbox;

extern const conc_class conc_inbox_class;

apr_status_t conc_inbox_new(conc_inbox **out, conc_parker *owner);

/* A note comes in when the future is done; none if it is already. */
apr_status_t conc_inbox_expect(conc_inbox *b, conc_future *f);

/* The next future that a note has come in for, a reference; NULL: none.  If
   there are more the owner is asked to look again. */
conc_future *conc_inbox_next(conc_inbox *b);

/* The owner goes: notes are dropped from now on. */
void conc_inbox_close(conc_inbox *b);

#endif
