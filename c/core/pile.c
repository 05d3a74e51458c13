#include "core/pile.h"

#include "base/mem.h"

static bool before(const conc_entry *a, const conc_entry *b) {
  int c = conc_priority_compare(&a->prio, &b->prio);
  return c != 0 ? c < 0 : a->order < b->order;
}

static void sift_up(conc_entry *heap, size_t at) {
  conc_entry e = heap[at];
  while (at > 0 && before(&e, &heap[(at - 1) / 2])) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = e;
}

static void sift_down(conc_entry *heap, size_t n) {
  conc_entry e = heap[0];
  size_t at = 0, child;
  while ((child = 2 * at + 1) < n) {
    if (child + 1 < n && before(&heap[child + 1], &heap[child]))
      child++;
    if (!before(&heap[child], &e))
      break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = e;
}

static apr_status_t make_room(conc_pile *p) {
  if (p->n < p->room)
    return APR_SUCCESS;
  size_t room = p->n < 8 ? 8 : 2 * p->n;
  conc_entry *bigger = conc_realloc(p->entries, room * sizeof *bigger);
  if (bigger == NULL)
    return APR_ENOMEM;
  p->entries = bigger;
  p->room = room;
  return APR_SUCCESS;
}

apr_status_t conc_pile_add(conc_pile *p, conc_msg *msg, conc_priority *prio) {
  apr_status_t st = make_room(p);
  if (st != APR_SUCCESS)
    return st;
  p->entries[p->n] =
    (conc_entry){.msg = conc_msg_take(msg), .order = p->added++};
  if (prio != NULL) {
    p->entries[p->n].prio = *prio;
    *prio = (conc_priority){.type = CONC_PRIO_INT};
    sift_up(p->entries, p->n);
  }
  p->n++;
  return APR_SUCCESS;
}

void conc_pile_take_last(conc_pile *p, conc_msg *msg) {
  *msg = p->entries[--p->n].msg;
}

void conc_pile_take_lowest(conc_pile *p, conc_msg *msg, conc_priority *prio) {
  conc_entry *root = &p->entries[0];
  *msg = root->msg;
  if (prio != NULL)
    *prio = root->prio;
  else
    conc_priority_fini(&root->prio);
  *root = p->entries[--p->n];
  sift_down(p->entries, p->n);
}

void conc_pile_fini(conc_pile *p) { conc_free(p->entries); }
