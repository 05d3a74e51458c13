#ifndef CONC_CLOCK_H
#define CONC_CLOCK_H

/*
 * Time is a count of monotonic nanoseconds, and a wait is bounded by a moment,
 * not by a length: a call that waits twice does not wait twice as long.
 */

#include <stdint.h>

#include "sys/sys.h"

typedef int64_t conc_time;

#define CONC_FOREVER INT64_MAX  /* this moment never comes */
#define CONC_NOW ((conc_time)0) /* this moment has passed: try, do not wait */

/* The moment 'seconds' from now; seconds >= 0, huge ones mean for ever. */
static inline conc_time conc_after(double seconds) {
  if (seconds <= 0)
    return CONC_NOW;
  if (seconds >= 9e9)
    return CONC_FOREVER;
  return conc_sys_now() + (conc_time)(seconds * 1e9);
}

#endif
