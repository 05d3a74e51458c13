#ifndef CONC_GROUP_H
#define CONC_GROUP_H

/*
 * A group of futures that stand and fall together: the end of one may cancel
 * all others, at once and in whatever thread it happens.
 */

#include "core/executor.h"

typedef struct conc_group conc_group;

extern const conc_class conc_group_class;

typedef enum {
  CONC_GROUP_ALL,    /* the first failure cancels the others */
  CONC_GROUP_FIRST,  /* the first success does */
  CONC_GROUP_COLLECT /* nothing does */
} conc_group_policy;

apr_status_t conc_group_new(conc_group **out, conc_group_policy policy);

/* One member more: number 0, 1, 2 ...  When the group is cancelled already, so
   is f.  Owner only. */
apr_status_t conc_group_add(conc_group *g, conc_future *f);

/* Cancel all members, those that run as well, and those that come. */
void conc_group_cancel(conc_group *g);

/* The same, as the group's time is over; was it? */
void conc_group_late(conc_group *g);
bool conc_group_is_late(const conc_group *g);

/* Something the owner keeps with the group: takes the reference and releases
   what was kept before. */
void conc_group_keep(conc_group *g, conc_obj *o);
conc_obj *conc_group_kept(const conc_group *g);

/* Members that are not done; changes with each end.  0 wakes who sleeps. */
conc_word *conc_group_open(conc_group *g);

/*
 * The member that was added before *m, or the last one when *m is NULL; NULL:
 * there is none.
 */
typedef struct conc_member conc_member;
conc_member *conc_group_next(const conc_group *g, const conc_member *m);
conc_future *conc_member_future(const conc_member *m);
size_t conc_member_number(const conc_member *m);
/* As the how-manieth it has ended, from 1; 0: it has not. */
size_t conc_member_ended(const conc_member *m);

/* One that is pending at that worker's executor, started by it; or NULL.  The
   reference is the caller's.  Owner only. */
conc_future *conc_group_claim(conc_group *g, conc_worker *w);

#endif
