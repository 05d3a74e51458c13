/*
 * Two threads at one work.
 */
#ifndef CONC_BENCH_PARTNER_H
#define CONC_BENCH_PARTNER_H

#include "floor.h"

#include <pthread.h>

/* Run mine(n) while another thread runs partner(&n); return when both did. */
static inline void with_partner(void *(*partner)(void *), long n,
                                void (*mine)(long)) {
  pthread_t thread;
  floor_check(pthread_create(&thread, NULL, partner, &n) == 0,
              "pthread_create");
  mine(n);
  pthread_join(thread, NULL);
}

#endif
