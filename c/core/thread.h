#ifndef CONC_THREAD_H
#define CONC_THREAD_H

/*
 * Threads, and the family they belong to.  A root is one program: a Lua state
 * that a host made, and every thread that was started from it or from one of
 * those.  Roots know nothing of each other.
 *
 * Life of a thread: NEW, started once, DONE for ever.  It is in its root's
 * list exactly while it is started and not done.
 */

#include <apr_errno.h>

#include "base/msg.h"
#include "core/alarm.h"
#include "core/carrier.h"

typedef struct conc_root conc_root;

typedef enum {
  CONC_THREAD_NEW,
  CONC_THREAD_STARTED,
  CONC_THREAD_DONE
} conc_thread_stage;

/*
 * [c] constant after new   [a] atomic   [r] root's lock   [l] lock
 * [s] constant after start   [t] of the running thread
 */
typedef struct conc_thread {
  conc_obj obj;
  conc_root *root;     /* [c] a reference, until DONE for threads of its own */
  conc_word stage;     /* [a] joiners wait on it */
  bool foreign;        /* [c] not started by conc: no end to wait for */
  bool daemon;         /* [r] constant once started */
  bool helper;         /* [c] conc's own: not shown to users */
  conc_word nativeset; /* [a] 1: 'native' is known */
  uint64_t native;     /* [a] by nativeset */
  uint64_t ident;      /* [s] never 0 */
  conc_word lock;      /* a leaf */
  char *name;          /* [l] */
  conc_parker *parker; /* [r] while it runs, else NULL */
  void (*nudge)(void *arg);        /* [r] see conc_thread_reach; may be NULL */
  void *nudged;                    /* [r] its argument */
  struct conc_report *report;      /* [l] asked for; a reference */
  size_t stack;                    /* [c] bytes; 0: the default */
  struct conc_thread *prev, *next; /* [r] in the root's list */
  /* For the layer above: what to do.  Consumed by the thread. */
  void (*run)(struct conc_thread *t, void *prepared); /* [c] */
  /* Called once it has run and left the list; may be NULL. */
  void (*ended)(struct conc_thread *t); /* [c] */
  conc_msg job;                         /* [t] after start */
  conc_obj *env;                        /* [c] */
  conc_msg hook; /* [s] what to do with an uncaught error */
  void *arg;     /* [c] for run */
} conc_thread;

extern const conc_class conc_thread_class;

/* A new family; conf makes what its threads need ahead of time. */
apr_status_t conc_root_new(conc_root **out, const conc_crew_conf *conf);
void conc_root_retain(conc_root *r);
void conc_root_release(conc_root *r);

/* A thread of the family that is not started. */
apr_status_t conc_thread_new(conc_thread **out, conc_root *root,
                             const char *name, bool daemon);

/*
 * A started thread for the caller, which conc has not made.  The first one of
 * a root is its main thread.
 */
apr_status_t conc_thread_adopt(conc_thread **out, conc_root *root,
                               const char *name, conc_parker *self);

/*
 * CONC_MISUSE: was started before.  CONC_CLOSED: the root has ended.  On any
 * failure the thread is as it was.
 */
apr_status_t conc_thread_start(conc_thread *t);

/* Wait for the end: APR_SUCCESS, APR_TIMEUP, CONC_CANCELLED or so. */
apr_status_t conc_thread_join(conc_thread *t, conc_parker *self,
                              conc_time deadline);

/* End the thread's current or next wait; nothing when it does not run. */
void conc_thread_cancel(conc_thread *t);

/*
 * The same, and if the layer above can it also stops a thread that does not
 * wait: the running code ends with the same error.
 */
void conc_thread_interrupt(conc_thread *t);

/*
 * How others reach the calling thread while it does not wait: nudge(arg), called
 * under a lock, makes it look soon at what its parker was asked for.  NULL ends
 * that: no call is under way or comes after.
 */
void conc_thread_reach(conc_thread *t, void (*nudge)(void *arg), void *arg);

bool conc_thread_alive(const conc_thread *t);

/* Its number in the kernel, 0 before start; waits for it to be known. */
uint64_t conc_thread_native(conc_thread *t, conc_parker *self);

/* Copy the name, at most size - 1 bytes; set it (APR_ENOMEM). */
void conc_thread_name(conc_thread *t, char *name, size_t size);
apr_status_t conc_thread_set_name(conc_thread *t, const char *name);
/* CONC_MISUSE: it was started. */
apr_status_t conc_thread_set_daemon(conc_thread *t, bool daemon);

/*
 * Up to 'room' threads that are started and not done, retained, oldest first;
 * returns how many there are.
 */
size_t conc_root_threads(conc_root *r, conc_thread **list, size_t room);

/* The root's main thread, retained; NULL once it has closed. */
conc_thread *conc_root_main(conc_root *r);

/* The stack size of threads that do not say otherwise; 0: the default. */
size_t conc_root_stack(conc_root *r);
void conc_root_set_stack(conc_root *r, size_t bytes);

/* What a host wants to be called in each new state; the layer above knows its
   type.  NULL: nothing. */
typedef void (*conc_opener)(void);
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

/* For core/deadlock.c. */
struct conc_detector *conc_root_detector(conc_root *r);

/*
 * What a thread says of itself, when somebody asks.  'text' is from conc_alloc,
 * or NULL if there was no memory or the thread has ended.
 *   [a] atomic   [d] constant once done
 */
typedef struct conc_report {
  conc_obj obj;
  conc_word done; /* [a] 1; those who ask wait on it */
  char *text;     /* [d] */
} conc_report;

/*
 * Ask the thread for a report.  APR_SUCCESS: *out is a reference to one that
 * will be done when the thread gets round to it, which it may never; somebody
 * else may have asked for it before.  CONC_MISUSE: it does not run.  APR_ENOMEM.
 */
apr_status_t conc_thread_ask(conc_thread *t, conc_report **out);

/* For the thread: give it, if it was asked for one; takes 'text'. */
void conc_thread_tell(conc_thread *t, char *text);

/* A number for names: 1, 2, 3 ... */
uint64_t conc_root_count(conc_root *r);

/*
 * What a layer above keeps for the root: by 'make' the first time; later
 * without it.  The reference stays the root's.  NULL: nothing, or no memory.
 */
conc_obj *conc_root_attached(conc_root *r, apr_status_t (*make)(conc_obj **));

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

#endif
