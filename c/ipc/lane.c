#include "ipc/lane.h"

#include "base/mem.h"
#include "base/status.h"
#include "wait/lot.h"

static void destroy(void *object) {
  conc_lane_rings *rings = object;
  conc_ring_destroy(&rings->tasks);
  conc_ring_destroy(&rings->results);
}

static void let_go(conc_proxy *p) {
  conc_lane *l = (conc_lane *)p;
  if (l->keeper != NULL)
    conc_release(&l->keeper->obj);
}

const conc_shared_class conc_lane_class = {.cls = {"lane", conc_proxy_destroy},
                                           .id = CONC_SHARED_LANE,
                                           .size = sizeof(conc_lane),
                                           .least = sizeof(conc_lane_rings),
                                           .close = let_go,
                                           .destroy = destroy};

apr_status_t conc_lane_new(conc_lane **out, conc_thread *keeper) {
  conc_proxy *p;
  apr_status_t st =
    conc_shared_new(&p, &conc_lane_class, sizeof(conc_lane_rings));
  if (st != APR_SUCCESS)
    return st;
  conc_shared_publish(p);
  conc_lane *l = (conc_lane *)p;
  l->keeper = (conc_thread *)conc_retain(&keeper->obj);
  *out = l;
  return APR_SUCCESS;
}

/* In the watcher. */
static void gone(conc_process *p) {
  conc_lane *l = (conc_lane *)(void *)p->heir;
  conc_thread_cancel(l->keeper);
  atomic_store(&l->over, 1);
  conc_wake(&l->over, CONC_ALL);
}

void conc_lane_watch(conc_lane *l, conc_process *p) {
  p->heir = conc_retain(&l->proxy.obj);
  p->gone = gone;
}

void conc_lane_await_over(conc_lane *l, conc_parker *self) {
  while (atomic_load(&l->over) == 0) {
    (void)conc_wait(&l->over, 0, self, CONC_FOREVER);
    atomic_store(&self->cancel, 0); /* there is not long to wait */
  }
}

/* Fill in w->shared. */
static apr_status_t get_shared(conc_wire *w, const conc_item *item) {
  apr_status_t st = APR_SUCCESS;
  if (item->nshared == 0)
    return st;
  w->shared = conc_alloc(item->nshared * sizeof *w->shared);
  if (w->shared == NULL)
    return APR_ENOMEM;
  while (w->nshared < item->nshared && st == APR_SUCCESS) {
    st = conc_item_shared(item, w->nshared, &w->shared[w->nshared]);
    w->nshared += st == APR_SUCCESS;
  }
  return st;
}

apr_status_t conc_lane_decode(conc_msg *m, const conc_item *item) {
  conc_wire w = {0};
  *m = (conc_msg){0};
  if (item->size < sizeof(conc_lane_head))
    return CONC_CORRUPT;
  size_t skip = sizeof(conc_lane_head) + conc_lane_head_of(item)->name;
  if (item->size < skip)
    return CONC_CORRUPT;
  apr_status_t st = get_shared(&w, item);
  /* Only read; it stays the item's. */
  w.data = (unsigned char *)item->data + skip;
  w.size = item->size - skip;
  if (st == APR_SUCCESS)
    st = conc_wire_decode(m, &w, true);
  w.data = NULL;
  conc_wire_fini(&w);
  return st;
}
