#include "ipc/lane.h"

#include "base/mem.h"
#include "base/status.h"
#include "ipc/cargo.h"
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
  for (int i = 0; i < CONC_LANE_PLACES; i++)
    if (l->blobs[i] != NULL)
      conc_release(&l->blobs[i]->obj);
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

/* ---- Sending ---- */

static apr_status_t push(conc_ring *r, const conc_lane_head *head,
                         const conc_lane_load *load, conc_parker *self) {
  const conc_load l = {.head = head,
                       .nhead = sizeof *head,
                       .data = load->parts.data,
                       .size = load->parts.size,
                       .tag = load->tag};
  return conc_ring_push(r, &l, self, CONC_FOREVER);
}

/* As in wire.h, with all that it refers to. */
static apr_status_t push_wire(conc_ring *r, conc_lane_head *head,
                              const conc_lane_load *load, conc_parker *self) {
  const conc_class *what;
  conc_wire w;
  apr_status_t st = conc_wire_encode_parts(&w, &load->parts, &what);
  if (st != APR_SUCCESS)
    return st;
  head->wire = true;
  head->nrefs = 0;
  const conc_load l = {.head = head,
                       .nhead = sizeof *head,
                       .data = w.data,
                       .size = w.size,
                       .shared = w.shared,
                       .nshared = w.nshared,
                       .tag = load->tag};
  st = conc_ring_push(r, &l, self, CONC_FOREVER);
  conc_wire_fini(&w);
  return st;
}

static bool is_used(const conc_lane_head *head, unsigned place) {
  for (unsigned i = 0; i < head->nrefs; i++)
    if (head->places[i] == place)
      return true;
  return false;
}

/* A place that this message does not name yet. */
static unsigned free_place(conc_lane *l, const conc_lane_head *head) {
  do
    l->next = (l->next + 1) % CONC_LANE_PLACES;
  while (is_used(head, l->next));
  return l->next;
}

/* Name the place of the blob, which is sent ahead if it is not there. */
static apr_status_t name_blob(conc_lane *l, conc_lane_head *head,
                              const conc_blob *b, conc_parker *self) {
  unsigned place = l->next;
  for (unsigned i = 0; i < CONC_LANE_PLACES && l->sent[place] != b->id; i++)
    place = (place + 1) % CONC_LANE_PLACES;
  if (l->sent[place] != b->id) {
    conc_obj *ref = (conc_obj *)(uintptr_t)&b->obj;
    const conc_lane_load load = {.parts = {.refs = &ref, .nrefs = 1},
                                 .tag = CONC_LANE_BLOB};
    place = free_place(l, head);
    l->sent[place] = 0;
    conc_lane_head first = {.slot = (uint8_t)place};
    apr_status_t st = push_wire(&conc_lane_at(l)->tasks, &first, &load, self);
    if (st != APR_SUCCESS)
      return st;
    l->sent[place] = b->id;
  }
  head->places[head->nrefs++] = (uint8_t)place;
  return APR_SUCCESS;
}

static bool only_few_blobs(const conc_lane_load *load) {
  if (load->parts.nrefs > CONC_LANE_FEW)
    return false;
  for (uint32_t i = 0; i < load->parts.nrefs; i++)
    if (load->parts.refs[i]->cls != &conc_blob_class)
      return false;
  return true;
}

apr_status_t conc_lane_give(conc_lane *l, conc_lane_head *head,
                            const conc_lane_load *load, conc_parker *self) {
  conc_ring *r = &conc_lane_at(l)->tasks;
  head->wire = false;
  head->nrefs = 0;
  if (!only_few_blobs(load))
    return push_wire(r, head, load, self);
  for (uint32_t i = 0; i < load->parts.nrefs; i++) {
    apr_status_t st =
      name_blob(l, head, (const conc_blob *)load->parts.refs[i], self);
    if (st != APR_SUCCESS)
      return st;
  }
  return push(r, head, load, self);
}

apr_status_t conc_lane_answer(conc_lane *l, conc_lane_head *head,
                              const conc_lane_load *load, conc_parker *self) {
  conc_ring *r = &conc_lane_at(l)->results;
  head->wire = false;
  head->nrefs = 0;
  return load->parts.nrefs == 0 ? push(r, head, load, self)
                                : push_wire(r, head, load, self);
}

void conc_lane_forget(conc_lane *l, const conc_lane_head *head) {
  l->sent[head->slot % CONC_LANE_PLACES] = 0;
}

/* ---- Receiving ---- */

static apr_status_t decode_wire(conc_msg *m, const conc_item *item) {
  conc_wire w = {0};
  apr_status_t st = conc_cargo_shared(&w, item);
  /* Only read; it stays the item's. */
  w.data = (unsigned char *)(uintptr_t)item->data + sizeof(conc_lane_head);
  w.size = item->size - sizeof(conc_lane_head);
  if (st == APR_SUCCESS)
    st = conc_wire_decode(m, &w, true);
  w.data = NULL;
  conc_wire_fini(&w);
  return st;
}

apr_status_t conc_lane_decode(conc_lane *l, conc_msg *m,
                              const conc_item *item) {
  const conc_lane_head *head = conc_lane_head_of(item);
  conc_obj *refs[CONC_LANE_FEW];
  *m = (conc_msg){0};
  if (head == NULL || head->nrefs > CONC_LANE_FEW)
    return CONC_CORRUPT;
  if (head->wire)
    return decode_wire(m, item);
  for (unsigned i = 0; i < head->nrefs; i++) {
    conc_blob *b = l->blobs[head->places[i] % CONC_LANE_PLACES];
    if (b == NULL)
      return CONC_CORRUPT;
    refs[i] = &b->obj;
  }
  apr_status_t st = conc_msg_make(m, item->data + sizeof *head,
                                  item->size - sizeof *head, refs, head->nrefs);
  for (unsigned i = 0; st == APR_SUCCESS && i < head->nrefs; i++)
    conc_retain(refs[i]);
  return st;
}

apr_status_t conc_lane_keep(conc_lane *l, const conc_item *item) {
  conc_msg m;
  apr_status_t st = conc_lane_decode(l, &m, item);
  if (st != APR_SUCCESS)
    return st;
  unsigned place = conc_lane_head_of(item)->slot % CONC_LANE_PLACES;
  if (m.nrefs == 1 && conc_msg_refs(&m)[0]->cls == &conc_blob_class) {
    if (l->blobs[place] != NULL)
      conc_release(&l->blobs[place]->obj);
    l->blobs[place] = (conc_blob *)conc_retain(conc_msg_refs(&m)[0]);
  } else {
    st = CONC_CORRUPT;
  }
  conc_msg_fini(&m);
  return st;
}
