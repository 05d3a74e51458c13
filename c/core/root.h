#ifndef CONC_ROOT_H
#define CONC_ROOT_H

/*
 * A root is one program: a Lua state that a host made, and every thread that was
 * started from it or from one of those.  Roots know nothing of each other.
 */

#include "core/alarm.h"
#include "core/carrier.h"
#include "core/deadlock.h"
#include "core/thread.h"

/* What a host wants to be called in each new state; the layer above knows its
   type. */
typedef void (*conc_opener)(void);

/*
 * Something that must stop taking work when its root ends (an executor).  The
 * root holds the reference 'obj' while it is in the list.
 */
typedef struct conc_closer {
  void (*close)(struct conc_closer *c);
  conc_obj *obj;                   /* [c] */
  struct conc_closer *prev, *next; /* [r] */
  bool inside;                     /* [r] */
} conc_closer;

/*
 * Its fields are for root.c, thread.c and deadlock.c.
 *   [c] constant after new   [l] lock, a leaf   [a] atomic
 */
struct conc_root {
  conc_obj obj;
  conc_crew *crew;   /* [c] */
  conc_clock *clock; /* [c] */
  conc_word lock;
  bool closing;              /* [l] */
  bool ended;                /* [l] no thread starts any more */
  bool cancelled;            /* [l] every wait of its threads ends now */
  conc_thread *first, *last; /* [l] started and not done, each a reference */
  conc_closer *closers;      /* [l] */
  conc_obj *shared;          /* [l] until it closes, or NULL */
  conc_thread *main;         /* [l] a reference until it closes */
  size_t stack;              /* [l] of threads that do not say otherwise */
  conc_opener opener;        /* [l] */
  conc_obj *attached;        /* [l] a reference, constant once set */
  conc_word ends;            /* [a] changes when a thread is done */
  conc_detector detector;    /* see deadlock.h */
  _Atomic uint64_t counter;  /* [a] */
};

/* A new family; conf makes what its threads need ahead of time. */
apr_status_t conc_root_new(conc_root **out, const conc_crew_conf *conf);
void conc_root_retain(conc_root *r);
void conc_root_release(conc_root *r);

/*
 * Up to 'room' threads that are started and not done, retained, oldest first;
 * returns how many there are.
 */
size_t conc_root_threads(conc_root *r, conc_obj **list, size_t room);

/* The root's main thread, retained; NULL once it has closed. */
conc_thread *conc_root_main(conc_root *r);

/* The stack size of threads that do not say otherwise; 0: the default. */
size_t conc_root_stack(conc_root *r);
void conc_root_set_stack(conc_root *r, size_t bytes);

/* NULL: nothing. */
conc_opener conc_root_opener(conc_root *r);
void conc_root_set_opener(conc_root *r, conc_opener opener);

/* What rings for the family's futures. */
conc_clock *conc_root_clock(conc_root *r);

/*
 * One object that all of the family use, until the root closes: a reference,
 * or NULL; and put it there, false: there is one already.
 */
conc_obj *conc_root_shared(conc_root *r);
bool conc_root_share(conc_root *r, conc_obj *o);

/*
 * Call visit for the main thread, while it is open, and for those in the list,
 * oldest first, until it says false; under the root's lock.  Did all say true?
 */
bool conc_root_visit(conc_root *r, bool (*visit)(conc_thread *t, void *arg),
                     void *arg);

/* A number for names: 1, 2, 3 ... */
uint64_t conc_root_count(conc_root *r);

/*
 * What a layer above keeps for the root: by 'make' the first time; later
 * without it.  The reference stays the root's.  NULL: nothing, or no memory.
 */
conc_obj *conc_root_attached(conc_root *r, apr_status_t (*make)(conc_obj **));

/* CONC_CLOSED: the root is closing. */
apr_status_t conc_root_add_closer(conc_root *r, conc_closer *c);
void conc_root_remove_closer(conc_root *r, conc_closer *c);

/*
 * The end of a family (design: one ladder).  Every closer is told; threads that
 * are no daemons are joined until 'deadline', also those that they start
 * meanwhile; then no thread starts any more, and all that are left have their
 * waits cancelled and get 'grace' ns to leave; whoever stays is abandoned.
 * Idempotent.
 */
void conc_root_close(conc_root *r, conc_parker *self, conc_time deadline,
                     int64_t grace);
bool conc_root_closing(conc_root *r);
/* Was this process forked after the first of these threads had started? */
bool conc_root_forked(const conc_root *r);
/* Are the waits of all its threads over, as it has closed? */
bool conc_root_cancelled(conc_root *r);

/* For thread.c: into and out of the list of those that run. */
void conc_root_link_locked(conc_root *r, conc_thread *t);
void conc_root_unlink_locked(conc_root *r, conc_thread *t);

#endif
