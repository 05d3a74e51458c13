#include "ipc/squeue.h"

static void destroy(void *object) {
  conc_ring_destroy(&((conc_squeue_ring *)object)->ring);
}

const conc_shared_class conc_squeue_class = {
  .cls = {"Queue", conc_proxy_destroy},
  .id = CONC_SHARED_QUEUE,
  .size = sizeof(conc_squeue),
  .least = sizeof(conc_squeue_ring),
  .destroy = destroy};

const conc_shared_class conc_sjoinable_class = {
  .cls = {"JoinableQueue", conc_proxy_destroy},
  .id = CONC_SHARED_JOINABLE,
  .size = sizeof(conc_squeue),
  .least = sizeof(conc_squeue_ring),
  .destroy = destroy};

const conc_shared_class conc_ssimple_class = {
  .cls = {"SimpleQueue", conc_proxy_destroy},
  .id = CONC_SHARED_SIMPLE,
  .size = sizeof(conc_squeue),
  .least = sizeof(conc_squeue_ring),
  .destroy = destroy};

apr_status_t conc_squeue_new(conc_squeue **out, const conc_shared_class *cls,
                             uint64_t capacity) {
  conc_proxy *p;
  apr_status_t st = conc_shared_new(&p, cls, sizeof(conc_squeue_ring));
  if (st != APR_SUCCESS)
    return st;
  ((conc_squeue_ring *)p->at)->ring.capacity = capacity;
  conc_shared_publish(p);
  *out = (conc_squeue *)p;
  return APR_SUCCESS;
}

static bool all_done(const void *arg) {
  const conc_squeue_ring *q = arg;
  uint32_t done = atomic_load(&q->done); /* first: it never passes the puts */
  return done == conc_ring_puts(&q->ring);
}

apr_status_t conc_squeue_task_done(conc_squeue *q) {
  conc_squeue_ring *at = conc_squeue_at(q);
  uint32_t done = atomic_load(&at->done);
  do {
    if (done == conc_ring_puts(&at->ring))
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(&at->done, &done, done + 1));
  if (all_done(at))
    conc_sgate_notify_all(&at->joiners);
  return APR_SUCCESS;
}

apr_status_t conc_squeue_join(conc_squeue *q, conc_parker *self,
                              conc_time deadline) {
  conc_squeue_ring *at = conc_squeue_at(q);
  return conc_sgate_await(&at->joiners, all_done, at, self, deadline);
}

void conc_squeue_shutdown(conc_squeue *q, bool immediate) {
  conc_item item;
  conc_ring *r = conc_squeue_of(q);
  conc_ring_close(r, CONC_RING_NO_MORE);
  while (immediate && conc_ring_pop(r, &item, NULL, CONC_NOW) == APR_SUCCESS) {
    conc_item_fini(&item);
    (void)conc_squeue_task_done(q);
  }
}
