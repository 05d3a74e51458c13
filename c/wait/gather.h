#ifndef CONC_GATHER_H
#define CONC_GATHER_H

/*
 * Letting things gather.  A taker that is faster than whoever adds takes each
 * thing the moment it is there.  Then the lines of memory that tell of it cross
 * between the processors once for every thing, and both sides are several times
 * slower than alone.  So who has just waited and found only one thing stays
 * away for a moment, and takes several in a row.  The moment adapts:
 *
 *  - one in which more came is doubled until ENOUGH come, up to MOST;
 *  - one in which nothing came (a slow adder, or one that waits for an answer)
 *    is quartered, and below LEAST there is none;
 *  - then every PROBE-th wait tries again: an answer comes later by
 *    LEAST / PROBE on average, which is a few nanoseconds.
 */

#include <stddef.h>

#include "sys/sys.h"

enum {
  CONC_GATHER_ENOUGH = 16,
  CONC_GATHER_LEAST = 250, /* ns */
  CONC_GATHER_MOST = 4000, /* ns */
  CONC_GATHER_PROBE = 64
};

/* [a] Written by any taker; nothing but the moment's length hangs on them. */
typedef struct conc_gather {
  conc_word ns;
  conc_word waits;
} conc_gather;

/*
 * After a wait: count(arg) things are there; stay away for a moment if that is
 * one.  Not while others of the same kind sleep, whom every addition would wake
 * meanwhile.
 */
void conc_gather_some(conc_gather *g, size_t (*count)(const void *),
                      const void *arg);

#endif
