#ifndef CONC_SHIELD_H
#define CONC_SHIELD_H

/*
 * Waits that must not end before their time: taking a lock back, hearing from
 * somebody who is about to speak.  Between up and down the thread's waits end
 * only by what they wait for; a cancellation or an interrupt is seen by the
 * first wait after.
 */

#include "wait/parker.h"

static inline void conc_shield_up(conc_parker *self) {
  self->shield++;
  self->deaf++;
}

static inline void conc_shield_down(conc_parker *self) {
  self->shield--;
  self->deaf--;
}

#endif
