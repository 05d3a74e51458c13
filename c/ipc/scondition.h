#ifndef CONC_SCONDITION_H
#define CONC_SCONDITION_H

/* The condition of core/condition.h in shared memory. */

#include "ipc/sline.h"

/* The object.  [c] constant once published */
typedef struct conc_scondition_word {
  conc_sline line;
  conc_ref lock; /* [c] a place: a shared Lock or RLock */
} conc_scondition_word;

typedef struct conc_scondition {
  conc_proxy proxy;
  conc_obj *lock; /* [c] its proxy, one reference */
} conc_scondition;

extern const conc_shared_class conc_scondition_class;

/* 'lock' is a conc_slock or a conc_srlock; NULL: a new conc_srlock. */
apr_status_t conc_scondition_new(conc_scondition **out, conc_obj *lock);

/* As in core/condition.h; acquire may give CONC_ABANDONED. */
apr_status_t conc_scondition_acquire(conc_scondition *c, conc_parker *self,
                                     conc_time deadline);
apr_status_t conc_scondition_release(conc_scondition *c, conc_parker *self);
bool conc_scondition_locked(const conc_scondition *c);
bool conc_scondition_owned(const conc_scondition *c, const conc_parker *self);

/* Also CONC_EXHAUSTED: there is no memory to wait with. */
apr_status_t conc_scondition_wait(conc_scondition *c, conc_parker *self,
                                  conc_time deadline);
apr_status_t conc_scondition_notify(conc_scondition *c, size_t n,
                                    const conc_parker *self);

#endif
