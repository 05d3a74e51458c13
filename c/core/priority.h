#ifndef CONC_PRIORITY_H
#define CONC_PRIORITY_H

/* Priorities, and a binary heap of messages that have one. */

#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"

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

typedef struct conc_entry {
  conc_msg msg;
  conc_priority prio;
  uint64_t order; /* between equal priorities */
} conc_entry;

/*
 * The heap's first entry is the one to take.  After an entry was put at heap[at],
 * behind all others; after heap[0], of n, became another one.
 */
void conc_entry_sift_up(conc_entry *heap, size_t at);
void conc_entry_sift_down(conc_entry *heap, size_t n);

#endif
