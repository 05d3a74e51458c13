#ifndef CONC_THREAD_H
#define CONC_THREAD_H

/*
 * Threads; root.h has the families that they belong to.
 *
 * Life of a thread: NEW, started once, DONE for ever.  It is in its root's
 * list exactly while it is started and not done.
 */

#include <apr_errno.h>

#include "base/msg.h"
#include "wait/parker.h"

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

#endif
