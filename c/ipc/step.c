#include "ipc/step.h"

#include "sys/shm.h"

conc_word conc_steps;

void conc_step_die(uint32_t n) { atomic_store(&conc_steps, n); }

void conc_step_count(void) {
  if (atomic_fetch_sub(&conc_steps, 1) == 1)
    conc_sys_die();
}
