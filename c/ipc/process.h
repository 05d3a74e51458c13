#ifndef CONC_PROCESS_H
#define CONC_PROCESS_H

/*
 * Child processes; brood.h has the families that they belong to.  Each child has one end of a channel whose other end only its parent
 * has: its job comes through it, and when it is closed because the parent is
 * gone, however that happened, the child ends.
 *
 * Life of a process: NEW, STARTING, STARTED, DONE for ever.  It is in its
 * brood's list from STARTING to DONE.  From a failed start it comes back NEW.
 */

#include <apr_errno.h>

#include "core/event.h"
#include "ipc/tail.h"
#include "ipc/wire.h"
#include "sys/process.h"

typedef struct conc_brood conc_brood;
typedef struct conc_forks conc_forks;
typedef struct conc_sweeper conc_sweeper;

typedef enum {
  CONC_PROCESS_NEW,
  CONC_PROCESS_STARTING,
  CONC_PROCESS_REFUSED, /* by a fork server; soon NEW or STARTING again */
  CONC_PROCESS_STARTED,
  CONC_PROCESS_DONE
} conc_process_stage;

/*
 * [c] constant after new   [a] atomic   [b] brood's lock
 * [s] constant once STARTED   [d] constant once DONE
 */
typedef struct conc_process {
  conc_obj obj;
  conc_brood *brood;               /* [c] a reference */
  conc_word stage;                 /* [a] joiners wait on it */
  char *name;                      /* [b] */
  bool daemon;                     /* [b] constant once started */
  bool closed;                     /* [b] */
  bool reaped;                     /* [b] its number is no more its own */
  bool writing;                    /* [b] its job: the channel stays open */
  bool orphaned;                   /* [b] by its fork server, which has died */
  bool foreign;                    /* [c] no child of ours */
  bool left;                       /* [b] by a fork: its parent's child */
  uint64_t pid;                    /* [s] */
  conc_handle channel;             /* [b] our end */
  conc_proxy *parcel;              /* [b] what it was given to share, or NULL */
  conc_event *ended;               /* [c] set at DONE */
  conc_sys_child child;            /* [s] of the watcher */
  conc_forks *forks;               /* [s] the fork server it is from, or NULL */
  struct conc_process *next_asked; /* of the fork server */
  apr_status_t refused;            /* [s] by the fork server */
  conc_sys_end end;                /* [d] */
  uint32_t round;                  /* [b] see brood.c */
  struct conc_process *prev, *next; /* [b] */
  bool forked;                      /* [c] for the layer above */
  bool keep_error; /* [c] what it writes to standard error is kept ... */
  conc_tail *tail; /* [s] ... here; a reference */
  conc_msg job;    /* [c] for the layer above */
  /* [c] since start: called once it is DONE, by the watcher; may be NULL */
  void (*gone)(struct conc_process *p);
  conc_obj *heir; /* [c] since start: for that; a reference, or NULL */
} conc_process;

extern const conc_class conc_process_class;

apr_status_t conc_process_new(conc_process **out, conc_brood *b,
                              const char *name, bool daemon);

/* One that runs and is no child of ours: this one, or our parent. */
apr_status_t conc_process_adopt(conc_process **out, conc_brood *b,
                                const char *name, uint64_t pid);

/* Is it a child of the process that a host has forked this one from? */
bool conc_process_left(conc_process *p);

/* How to start one. */
typedef struct conc_process_how {
  const char *program; /* path of an interpreter */
  /* Text that it runs; "%d" in it becomes the number of its channel. */
  const char *code;
  const char *name;        /* argv[0] */
  const conc_wire *job;    /* what comes first through the channel ... */
  const conc_wire *args;   /* ... and then */
  const conc_wire *server; /* the same for a fork server; NULL: spawn */
  conc_handle err;         /* its standard error, or CONC_NO_HANDLE: ours */
  bool quiet;    /* what it writes goes nowhere, and it shares no memory */
  bool outlives; /* this process, if that is killed */
} conc_process_how;

/*
 * CONC_MISUSE: was started before.  CONC_CLOSED: the brood has ended.
 * Otherwise what the system says.  Opens the heap.  Waits until the job is
 * written; a child that ends before it has read it is a success: its end tells.
 */
apr_status_t conc_process_start(conc_process *p, const conc_process_how *how,
                                conc_parker *self);

/* Wait for the end: APR_SUCCESS, APR_TIMEUP, CONC_CANCELLED or so. */
apr_status_t conc_process_join(conc_process *p, conc_parker *self,
                               conc_time deadline);

/* Nothing for one that has ended.  CONC_MISUSE: not started. */
apr_status_t conc_process_signal(conc_process *p, conc_sys_signal s);

static inline bool conc_process_alive(const conc_process *p) {
  uint32_t stage = atomic_load(&p->stage);
  return stage != CONC_PROCESS_NEW && stage != CONC_PROCESS_DONE;
}

/* Copy the name, at most size - 1 bytes; set it (APR_ENOMEM). */
void conc_process_name(conc_process *p, char *name, size_t size);
apr_status_t conc_process_set_name(conc_process *p, const char *name);
/* CONC_MISUSE: it was started. */
apr_status_t conc_process_set_daemon(conc_process *p, bool daemon);

/* No more use of it.  CONC_MISUSE: it runs. */
apr_status_t conc_process_close(conc_process *p);
bool conc_process_closed(conc_process *p);

/*
 * Can this program run the code, and does that say hello (conc_child_hello)?
 * APR_SUCCESS; what the system says; APR_EGENERAL: *end is how it ended.
 */
apr_status_t conc_process_probe(const conc_process_how *how, conc_parker *self,
                                conc_sys_end *end);

#endif
