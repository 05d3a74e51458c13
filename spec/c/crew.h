#ifndef CREW_H
#define CREW_H

/*
 * Threads for the specs of c/core: each has a parker and a source of random
 * numbers; some are cancelled now and then.  CONC_SCALE shrinks the loops.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/object.h"
#include "base/status.h"
#include "wait/parker.h"

#include "check.h"

enum { THREADS = 8, WATCHDOG = 300 };

static const conc_time MICRO = 1000;

static inline int scaled(int n) {
  const char *env = getenv("CONC_SCALE");
  int m = env != NULL ? (int)(n * atof(env)) : n;
  return m < 10 ? 10 : m;
}

/* What a thread of a test has. */
typedef struct worker {
  pthread_t os;
  conc_parker *self;
  uint64_t random;
  int index;
  void (*body)(struct worker *w);
  void *arg;
} worker;

static inline uint32_t roll(worker *w, uint32_t n) {
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return (uint32_t)(w->random >> 11) % n;
}

static inline conc_time soon(worker *w) {
  return conc_sys_now() + (conc_time)roll(w, 200) * MICRO;
}

/* For ever, now, or a few microseconds from now. */
static inline conc_time some_deadline(worker *w) {
  switch (roll(w, 4)) {
  case 0: return CONC_FOREVER;
  case 1: return CONC_NOW;
  default: return soon(w);
  }
}

static inline void busy(conc_time ns) {
  conc_time until = conc_sys_now() + ns;
  while (conc_sys_now() < until)
    conc_sys_pause();
}

static inline void *run(void *arg) {
  worker *w = arg;
  w->body(w);
  return NULL;
}

static inline void start(worker *w, int n, void (*body)(worker *), void *arg) {
  for (int i = 0; i < n; i++) {
    w[i] = (worker){.index = i, .body = body, .arg = arg};
    w[i].random = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    w[i].self = conc_parker_new();
    CHECK(w[i].self != NULL);
  }
  for (int i = 0; i < n; i++)
    CHECK(pthread_create(&w[i].os, NULL, run, &w[i]) == 0);
}

static inline void join(worker *w, int n) {
  for (int i = 0; i < n; i++)
    CHECK(pthread_join(w[i].os, NULL) == 0);
  for (int i = 0; i < n; i++)
    conc_parker_free(w[i].self);
}

static inline void together(void (*body)(worker *), void *arg) {
  worker w[THREADS];
  start(w, THREADS, body, arg);
  join(w, THREADS);
}

/* Somebody cancels a neighbour now and then; the neighbour takes notice. */
static inline void tease(worker *w) {
  worker *other = w - w->index + roll(w, THREADS);
  if (roll(w, 64) == 0)
    conc_parker_cancel(other->self);
}

static inline bool cancelled(worker *w, apr_status_t st) {
  if (st == CONC_CANCELLED)
    atomic_store(&w->self->cancel, 0);
  return st == CONC_CANCELLED;
}

static inline bool always(void *arg) { return arg == NULL; }

/* A parker whose every sleep is interrupted. */
static inline conc_parker *conc_parker_interrupted(void) {
  conc_parker *self = conc_parker_new();
  CHECK(self != NULL);
  self->poll = always;
  return self;
}

/* Run each under a watchdog, and see that it leaves nothing behind. */
static inline void run_tests(void (*const tests[])(void), size_t n) {
  for (size_t i = 0; i < n; i++) {
    watchdog(WATCHDOG);
    tests[i]();
    CHECK(conc_obj_count() == 0);
  }
}

#endif
