#ifndef CONC_QUEUE_H
#define CONC_QUEUE_H

/*
 * Queues of messages between threads: first in first out, last in first out,
 * or lowest priority first.  Many producers, many consumers.
 */

#include <apr_errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/msg.h"
#include "core/priority.h"
#include "wait/gate.h"

typedef struct conc_queue conc_queue;

typedef enum {
  CONC_QUEUE_FIFO,
  CONC_QUEUE_LIFO,
  CONC_QUEUE_PRIORITY,
  CONC_QUEUE_SIMPLE /* FIFO without task tracking or shutdown, for users */
} conc_queue_kind;

extern const conc_class conc_queue_fifo, conc_queue_lifo, conc_queue_priority,
  conc_queue_simple;

/* capacity 0: unbounded. */
apr_status_t conc_queue_new(conc_queue **out, conc_queue_kind kind,
                            size_t capacity);

/*
 * Append *msg, waiting for room until 'deadline'.  'prio' is for a priority
 * queue, else NULL; the queue takes its string over with the message.
 * APR_SUCCESS: the queue took it and *msg is empty.  Otherwise *msg and *prio
 * are still the caller's: APR_TIMEUP (still full), CONC_CLOSED, APR_ENOMEM,
 * CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_queue_push(conc_queue *q, conc_msg *msg, conc_priority *prio,
                             conc_parker *self, conc_time deadline);

/*
 * Take the next message, waiting for one until 'deadline'.
 * APR_SUCCESS: *msg (and *prio if not NULL) are the caller's.  APR_TIMEUP,
 * CONC_CLOSED (shut down and drained), CONC_CANCELLED, CONC_INTERRUPTED.
 */
apr_status_t conc_queue_pop(conc_queue *q, conc_msg *msg, conc_priority *prio,
                            conc_parker *self, conc_time deadline);

/*
 * For a wait on several things: where to wait until a push (or a pop) would
 * not, and whether it would not a moment ago.
 */
conc_gate *conc_queue_gate(conc_queue *q, bool push);
bool conc_queue_ready(const conc_queue *q, bool push);

/* Messages inside, a moment ago; ever put; consumers asleep or looking. */
size_t conc_queue_len(const conc_queue *q);
size_t conc_queue_capacity(const conc_queue *q);
uint64_t conc_queue_total(const conc_queue *q);
size_t conc_queue_idle(const conc_queue *q);

/*
 * One message that was taken is dealt with.  CONC_MISUSE: called more often
 * than messages were put.
 */
apr_status_t conc_queue_task_done(conc_queue *q);

/* Wait until every message ever put is dealt with. */
apr_status_t conc_queue_join(conc_queue *q, conc_parker *self,
                             conc_time deadline);

/*
 * No more puts; gets drain what is left, then say CONC_CLOSED.  'immediate'
 * drops what is left and counts it as dealt with.  May be called again.
 */
void conc_queue_shutdown(conc_queue *q, bool immediate);
bool conc_queue_is_shutdown(const conc_queue *q);

#endif
