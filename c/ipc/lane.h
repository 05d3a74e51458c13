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
 */

#include "core/thread.h"
#include "ipc/process.h"
#include "ipc/ring.h"

/* The object. */
typedef struct conc_lane_rings {
  conc_ring tasks;
  conc_ring results;
} conc_lane_rings;

/* [c] constant once the process is started   [a] atomic */
typedef struct conc_lane {
  conc_proxy proxy;
  conc_thread *keeper; /* [c] on the executor's side: a reference */
  conc_word over;      /* [a] 1: the process is gone, the keeper was told */
} conc_lane;

extern const conc_shared_class conc_lane_class;

/* What tasks and results begin with. */
typedef struct conc_lane_head {
  uint64_t slot;    /* which of the keeper's tasks */
  int64_t ns;       /* of a result: how long the task took */
  double timeout;   /* of a task: seconds, or < 0 */
  uint32_t retries; /* of a task: how often it may lose its process */
  uint32_t name;    /* of a task: bytes of its name, which come next */
} conc_lane_head;

/* What comes along a lane, as the tag of the message: tasks have the kind of
   their future. */
enum {
  CONC_LANE_INIT = 0x80, /* the first task: the initializer, or nothing */
  CONC_LANE_READY,       /* the first result */
  CONC_LANE_BROKEN,      /* the initializer has failed: why */
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

/*
 * *m becomes the message in the item after its head and name.  CONC_CORRUPT, or
 * as conc_wire_decode and conc_item_shared.
 */
apr_status_t conc_lane_decode(conc_msg *m, const conc_item *item);

/* The head of an item, which is at least as long. */
static inline const conc_lane_head *conc_lane_head_of(const conc_item *item) {
  return (const conc_lane_head *)(const void *)item->data;
}

#endif
