#ifndef CONC_LINE_H
#define CONC_LINE_H

/*
 * Threads that stand in line, each waiting to be told something of its own.
 * The object that has the line keeps it under a lock of its own; telling and
 * waiting are done without it.
 *
 * Memory: a turn lives on the stack of the thread that waits.  Whoever has
 * taken it out of the line must tell it, and does not touch it afterwards; its
 * thread may return when it was told, or when it left the line itself.
 */

#include <apr_errno.h>
#include <stddef.h>

#include "wait/parker.h"

/* [a] atomic   [l] under the lock that guards the line */
typedef struct conc_turn {
  conc_word told;                /* [a] 0: nothing yet */
  bool inside;                   /* [l] stands in a line */
  struct conc_turn *prev, *next; /* [l] while inside */
} conc_turn;

/* All zeros is an empty line; first has come first. */
typedef struct conc_line {
  conc_turn *first, *last; /* [l] */
} conc_line;

/* With the line's lock held: */
void conc_line_join_locked(conc_line *line, conc_turn *t);
void conc_line_leave_locked(conc_line *line, conc_turn *t);
/* Take up to n out, oldest first, as a chain by 'next' that ends with NULL. */
conc_turn *conc_line_take_locked(conc_line *line, size_t n);

/* Tell the turns of a chain: the first 'what', each next one 'step' more. */
void conc_turn_tell(conc_turn *chain, uint32_t what, uint32_t step);

/* APR_SUCCESS: told.  APR_TIMEUP, CONC_CANCELLED, CONC_INTERRUPTED. */
apr_status_t conc_turn_wait(conc_turn *t, conc_parker *self,
                            conc_time deadline);

/* Wait for as long as it takes; the turn was taken out of the line. */
void conc_turn_settle(conc_turn *t, conc_parker *self);

static inline uint32_t conc_turn_told(const conc_turn *t) {
  /* Acquire: pairs with the store of whoever told. */
  return atomic_load_explicit(&t->told, memory_order_acquire);
}

#endif
