#include "core/priority.h"

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

int conc_priority_compare(const conc_priority *a, const conc_priority *b) {
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
