#ifndef CONC_SSEMAPHORE_H
#define CONC_SSEMAPHORE_H

/*
 * The semaphores of core/semaphore.h in shared memory.  A permit belongs to
 * nobody: those that a process has taken when it dies are gone.
 */

#include "core/semaphore.h"
#include "ipc/sgate.h"
#include "ipc/shared.h"

/* The object.  Invariant: value <= most.
   [c] constant once published   [a] atomic */
typedef struct conc_ssemaphore_word {
  conc_word value;
  uint32_t most; /* [c] */
  conc_sgate gate;
} conc_ssemaphore_word;

typedef struct conc_ssemaphore {
  conc_proxy proxy;
} conc_ssemaphore;

extern const conc_shared_class conc_ssemaphore_class, conc_sbounded_class;

/* 'cls' is one of the two; value <= CONC_SEMAPHORE_MAX. */
apr_status_t conc_ssemaphore_new(conc_ssemaphore **out,
                                 const conc_shared_class *cls, uint32_t value);

static inline conc_ssemaphore_word *
conc_ssemaphore_at(const conc_ssemaphore *s) {
  return s->proxy.at;
}

/* As in core/semaphore.h. */
bool conc_ssemaphore_try(conc_ssemaphore *s);
apr_status_t conc_ssemaphore_acquire(conc_ssemaphore *s, conc_parker *self,
                                     conc_time deadline);
apr_status_t conc_ssemaphore_release(conc_ssemaphore *s, uint32_t n);

static inline uint32_t conc_ssemaphore_value(const conc_ssemaphore *s) {
  return atomic_load(&conc_ssemaphore_at(s)->value);
}

#endif
