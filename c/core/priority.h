#ifndef CONC_PRIORITY_H
#define CONC_PRIORITY_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a PriorityQueue orders by: all numbers before all strings, numbers by
 * value as Lua's < has it, strings by bytes; equal ones in the order of put.
 */
typedef struct conc_priority {
  enum { CONC_PRIO_INT, CONC_PRIO_FLOAT, CONC_PRIO_STRING } type;
  union {
    int64_t i;
    double d;
    struct {
      char *s; /* from conc_alloc, owned */
      size_t len;
    } str;
  } u;
} conc_priority;

/* Free what it owns. */
void conc_priority_fini(conc_priority *p);

/* < 0, 0 or > 0: a is taken before b, they are equal, it is taken after b. */
int conc_priority_compare(const conc_priority *a, const conc_priority *b);

#endif
