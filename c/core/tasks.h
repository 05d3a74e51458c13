#ifndef CONC_TASKS_H
#define CONC_TASKS_H

/*
 * A list of futures that wait to be run, first in, first out, linked through
 * the futures themselves.  Those who add and those who take meet at different
 * locks, and only change hands of whole lists.
 */

#include "core/future.h"

/* [i] under the lock 'in'   [o] under the lock 'out'   [a] atomic */
typedef struct conc_tasks {
  conc_word in;
  bool closed;                     /* [i] */
  conc_future *first_in, *last_in; /* [i] added last */
  _Atomic uint64_t added;          /* [a] ever; written under 'in' */
  char apart[CONC_LINE];
  conc_word out;
  conc_future *first_out; /* [o] to be taken */
  _Atomic uint64_t taken; /* [a] ever; written under 'out' */
} conc_tasks;

/* Append f, whose reference goes over; false: the list is closed. */
bool conc_tasks_add(conc_tasks *t, conc_future *f);

/* Put f in front, whose reference goes over; also when the list is closed. */
void conc_tasks_put_back(conc_tasks *t, conc_future *f);

/* The same for one that was taken, and counts as if it had not been. */
void conc_tasks_untake(conc_tasks *t, conc_future *f);

/* The first one, whose reference comes over; or NULL. */
conc_future *conc_tasks_take(conc_tasks *t);

/* Nothing can be added any more. */
void conc_tasks_close(conc_tasks *t);
bool conc_tasks_closed(conc_tasks *t);

/*
 * If the list is empty and open, call last(arg) before anything can be added;
 * returns whether it did.
 */
bool conc_tasks_if_empty(conc_tasks *t, void (*last)(void *arg), void *arg);

/* In the list, a moment ago: nothing that was added before is missed. */
static inline uint64_t conc_tasks_count(const conc_tasks *t) {
  uint64_t taken = atomic_load(&t->taken);
  return atomic_load(&t->added) - taken;
}

#endif
