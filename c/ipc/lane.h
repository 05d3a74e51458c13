#ifndef CONC_LANE_H
#define CONC_LANE_H

/*
 * A lane leads from an executor to one of its worker processes and back: a ring
 * of tasks and a ring of results.  A task is in the executor's hands until the
 * process takes it out of the ring, so that the executor can take it back, also
 * after a death; the one that was taken last and has no result is the one that
 * the process ran.
 *
 * On the executor's side one thread, the keeper (lua/keeper.c), serves the lane
 * and is told when the process is gone.
 *
 * The code of functions and the classes in tasks (blobs) come along the lane
 * before the first task that needs them, and stay in the process, at one of a
 * few places that the keeper chooses; tasks name the places.  As the lane is
 * first in, first out, and the keeper takes all of it back in one step and forgets
 * that, a place holds for a task what it held when the task was given.
 */

#include "core/blob.h"
#include "core/thread.h"
#include "ipc/process.h"
#include "ipc/ring.h"
#include "ipc/wire.h"

/* The object. */
typedef struct conc_lane_rings {
  conc_ring tasks;
  conc_ring results;
  _Atomic uint64_t at; /* which item of a task of many the process is at, from
                          1, and in the upper half how many there are; 0: it
                          has none */
} conc_lane_rings;

enum { CONC_LANE_PLACES = 32 };

/* [c] constant once the process is started   [a] atomic
   [k] of the keeper's thread   [w] of the worker's */
typedef struct conc_lane {
  conc_proxy proxy;
  conc_thread *keeper; /* [c] on the executor's side: a reference */
  conc_word over;      /* [a] 1: the process is gone, the keeper was told */
  uint64_t sent[CONC_LANE_PLACES]; /* [k] ids of the blobs over there, or 0 */
  unsigned next;                   /* [k] the place that is used next */
  conc_blob *blobs[CONC_LANE_PLACES]; /* [w] references, or NULL */
} conc_lane;

extern const conc_shared_class conc_lane_class;

enum { CONC_LANE_FEW = 5 };

/* What everything begins with that comes along a lane. */
typedef struct conc_lane_head {
  int64_t ns;        /* of a result: how long the task took */
  uint32_t from, to; /* of a task: which items of many, counted from 0; 0, 0:
                        all.  Of a PART: those it is of */
  uint8_t slot;      /* which of the keeper's tasks; of a BLOB: its place */
  bool wire;         /* the rest is as in wire.h; else the bytes of a message */
  uint8_t nrefs;     /* ... and so many references: the blobs at these places */
  uint8_t places[CONC_LANE_FEW];
} conc_lane_head;

/* What comes along a lane, as the tag of the message: tasks have the kind of
   their future. */
enum {
  CONC_LANE_INIT = 0x80, /* the first task: the initializer, or nothing */
  CONC_LANE_BLOB,        /* among tasks: see above */
  CONC_LANE_READY,       /* the first result */
  CONC_LANE_BROKEN,      /* the initializer has failed: why */
  CONC_LANE_PART,        /* a result of some items; more will come */
  CONC_LANE_ENDED = 0xc0 /* results: and the state of the future */
};

apr_status_t conc_lane_new(conc_lane **out, conc_thread *keeper);

static inline conc_lane_rings *conc_lane_at(const conc_lane *l) {
  return l->proxy.at;
}

/* The process at the other end of the lane is p, which is not started yet. */
void conc_lane_watch(conc_lane *l, conc_process *p);

/* Wait until the keeper was told of the process's end: no more cancel comes
   from there. */
void conc_lane_await_over(conc_lane *l, conc_parker *self);

/* What is sent: a message, or the beginning of one. */
typedef struct conc_lane_load {
  conc_wire_parts parts;
  uint8_t tag;
} conc_lane_load;

/*
 * Send it to the process, or an answer to the keeper; head's 'ns' and 'slot' are
 * the caller's.  As conc_ring_push; APR_ENOMEM; CONC_MISUSE: it holds what
 * cannot leave the process.
 */
apr_status_t conc_lane_give(conc_lane *l, conc_lane_head *head,
                            const conc_lane_load *load, conc_parker *self);
apr_status_t conc_lane_answer(conc_lane *l, conc_lane_head *head,
                              const conc_lane_load *load, conc_parker *self);

/* The keeper has taken back what it gave: the place in a BLOB is empty. */
void conc_lane_forget(conc_lane *l, const conc_lane_head *head);

/* In the process: keep the blob in the item. */
apr_status_t conc_lane_keep(conc_lane *l, const conc_item *item);

/*
 * *m becomes the message in the item.  CONC_CORRUPT, or as conc_wire_decode and
 * conc_item_shared.
 */
apr_status_t conc_lane_decode(conc_lane *l, conc_msg *m, const conc_item *item);

/* The head of an item, or NULL: it has none. */
static inline const conc_lane_head *conc_lane_head_of(const conc_item *item) {
  return item->size < sizeof(conc_lane_head)
           ? NULL
           : (const conc_lane_head *)(const void *)item->data;
}

#endif
