/*
 * What every floor program shares: the clock, the median, the output.
 *
 * A floor is what the machine itself takes for a deed, in C and with nothing
 * around it.  Each line of output is "name value unit"; a name starts with
 * the program's own: floor_pair prints "pair.ping_pong 0.12 us".
 */
#ifndef CONC_BENCH_FLOOR_H
#define CONC_BENCH_FLOOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FLOOR_ROUNDS = 9 };

/* Do it n times. */
typedef void (*floor_work)(long n);

static inline double floor_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline int floor_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds for one of it: the median of the rounds, after one to warm up. */
static inline double floor_each(floor_work work, long n) {
  double seconds[FLOOR_ROUNDS];
  work(n);
  for (int i = 0; i < FLOOR_ROUNDS; i++) {
    double start = floor_now();
    work(n);
    seconds[i] = (floor_now() - start) / (double)n;
  }
  qsort(seconds, FLOOR_ROUNDS, sizeof seconds[0], floor_compare);
  return seconds[FLOOR_ROUNDS / 2];
}

static inline void floor_print(const char *name, double value,
                               const char *unit) {
  printf("%s %.6g %s\n", name, value, unit);
  fflush(stdout);
}

/* A floor that could not do its work has no figure to give. */
static inline void floor_check(int ok, const char *what) {
  if (ok)
    return;
  fprintf(stderr, "floor: %s failed\n", what);
  exit(EXIT_FAILURE);
}

#endif
