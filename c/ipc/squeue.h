#ifndef CONC_SQUEUE_H
#define CONC_SQUEUE_H

/*
 * The queue of core/queue.h in shared memory: a ring (ring.h), whose messages
 * can be marked as dealt with.
 */

#include "ipc/ring.h"
#include "ipc/shared.h"

/*
 * The object.  Invariant: as many messages were marked as 'done' says, which is
 * counted modulo 2^32, as the ring counts what was put.
 *   [a] atomic
 */
typedef struct conc_squeue_ring {
  conc_ring ring;
  conc_word done;     /* [a] */
  conc_sgate joiners; /* until all that was put is done */
} conc_squeue_ring;

typedef struct conc_squeue {
  conc_proxy proxy;
} conc_squeue;

extern const conc_shared_class conc_squeue_class, conc_sjoinable_class,
  conc_ssimple_class;

/* 'cls' is one of the three; capacity 0: unbounded. */
apr_status_t conc_squeue_new(conc_squeue **out, const conc_shared_class *cls,
                             uint64_t capacity);

static inline conc_squeue_ring *conc_squeue_at(const conc_squeue *q) {
  return q->proxy.at;
}

static inline conc_ring *conc_squeue_of(const conc_squeue *q) {
  return &conc_squeue_at(q)->ring;
}

/*
 * One message that was taken is dealt with.  CONC_MISUSE: called more often
 * than messages were put.
 */
apr_status_t conc_squeue_task_done(conc_squeue *q);

/*
 * Wait until every message ever put is dealt with.  Those that somebody took
 * and died with are not, for ever.
 */
apr_status_t conc_squeue_join(conc_squeue *q, conc_parker *self,
                              conc_time deadline);

/* As conc_queue_shutdown. */
void conc_squeue_shutdown(conc_squeue *q, bool immediate);

static inline bool conc_squeue_is_shutdown(const conc_squeue *q) {
  return atomic_load(&conc_squeue_of(q)->closed) != 0;
}

#endif
