#ifndef CHECK_H
#define CHECK_H

/* What the C tests assert with, also when NDEBUG is defined. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(cond)                                                            \
  do {                                                                         \
    if (!(cond)) {                                                             \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);               \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* End the process when it has not ended by then.  Windows has nothing like it:
 * who runs the test there limits it. */
static inline void watchdog(unsigned seconds) {
#ifdef _WIN32
  (void)seconds;
#else
  alarm(seconds);
#endif
}

#endif
