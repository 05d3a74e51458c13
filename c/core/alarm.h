#ifndef CONC_ALARM_H
#define CONC_ALARM_H

/*
 * Things to do at a moment to come.  A clock is a heap of alarms and one thread
 * that sleeps until the first; it is started with the first alarm ever set.
 */

#include "base/msg.h"
#include "core/carrier.h"

typedef struct conc_clock conc_clock;

/*
 * An alarm rings at most once.  It has an object and what to do to it, which
 * runs in the clock's thread, without locks, and must not block.
 */
typedef struct conc_alarm {
  conc_obj obj;
  void (*ring)(struct conc_alarm *a); /* [c] */
  conc_obj *target;                   /* [c] a reference */
  conc_msg msg;                       /* for ring */
  conc_time at;                       /* [c] */
  size_t place;                       /* [clock's lock] in the heap, from 1 */
} conc_alarm;

/* 'msg' may be NULL, or is taken. */
apr_status_t conc_alarm_new(conc_alarm **out, conc_obj *target,
                            void (*ring)(conc_alarm *), conc_msg *msg);

apr_status_t conc_clock_new(conc_clock **out, conc_crew *crew);

/* Ring at that moment.  The clock holds a reference until then.  CONC_CLOSED,
   APR_ENOMEM or why its thread cannot be started: it will not. */
apr_status_t conc_clock_set(conc_clock *c, conc_alarm *a, conc_time at);

/* Do not ring any more; it may be ringing now. */
void conc_clock_clear(conc_clock *c, conc_alarm *a);

/* No alarm rings from now on; waits for the thread to leave. */
void conc_clock_close(conc_clock *c, conc_parker *self);

/* After close, or when nothing was ever set. */
void conc_clock_free(conc_clock *c);

#endif
