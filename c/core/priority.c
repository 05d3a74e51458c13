#include "core/priority.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

void conc_priority_fini(conc_priority *p) {
  if (p->type == CONC_PRIO_STRING)
    conc_free(p->u.str.s);
}

static int compare_mixed(int64_t i, double d) {
  /* Exact: no rounding of large integers (ltests of lvm.c's LTnum agree). */
  if (d >= 9223372036854775808.0)
    return -1;
  if (d < -9223372036854775808.0)
    return 1;
  int64_t whole = (int64_t)d;
  if (i != whole)
    return i < whole ? -1 : 1;
  double rest = d - (double)whole;
  return rest > 0 ? -1 : rest < 0;
}

static int compare(const conc_priority *a, const conc_priority *b) {
  if (a->type == CONC_PRIO_STRING || b->type == CONC_PRIO_STRING) {
    if (a->type != b->type)
      return a->type == CONC_PRIO_STRING ? 1 : -1;
    size_t n = a->u.str.len < b->u.str.len ? a->u.str.len : b->u.str.len;
    int c = n == 0 ? 0 : memcmp(a->u.str.s, b->u.str.s, n);
    return c != 0
             ? c
             : (a->u.str.len > b->u.str.len) - (a->u.str.len < b->u.str.len);
  }
  if (a->type == CONC_PRIO_INT && b->type == CONC_PRIO_INT)
    return (a->u.i > b->u.i) - (a->u.i < b->u.i);
  if (a->type == CONC_PRIO_INT)
    return compare_mixed(a->u.i, b->u.d);
  if (b->type == CONC_PRIO_INT)
    return -compare_mixed(b->u.i, a->u.d);
  return (a->u.d > b->u.d) - (a->u.d < b->u.d);
}

static bool before(const conc_entry *a, const conc_entry *b) {
  int c = compare(&a->prio, &b->prio);
  return c != 0 ? c < 0 : a->order < b->order;
}

void conc_entry_sift_up(conc_entry *heap, size_t at) {
  conc_entry e = heap[at];
  while (at > 0 && before(&e, &heap[(at - 1) / 2])) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = e;
}

void conc_entry_sift_down(conc_entry *heap, size_t n) {
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
