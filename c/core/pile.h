#ifndef CONC_PILE_H
#define CONC_PILE_H

/*
 * Messages that are not taken in the order in which they came: the last first, or
 * the one of lowest priority (a binary heap).  Whoever has one locks it.  All
 * zeros: an empty one.
 */

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"
#include "core/priority.h"

typedef struct conc_entry {
  conc_msg msg;
  conc_priority prio;
  uint64_t order; /* between equal priorities */
} conc_entry;

typedef struct conc_pile {
  conc_entry *entries; /* the heap's root is the first */
  size_t n, room;
  uint64_t added; /* ever */
} conc_pile;

/*
 * Put *msg, and *prio unless the pile is without priorities (NULL).  They are the
 * pile's then; APR_ENOMEM: still the caller's.
 */
apr_status_t conc_pile_add(conc_pile *p, conc_msg *msg, conc_priority *prio);

/*
 * Take the last one, or the one of lowest priority; there is one.  Its priority
 * goes to *prio, or is freed (NULL).
 */
void conc_pile_take_last(conc_pile *p, conc_msg *msg);
void conc_pile_take_lowest(conc_pile *p, conc_msg *msg, conc_priority *prio);

/* Free the array; what is inside was taken before. */
void conc_pile_fini(conc_pile *p);

#endif
