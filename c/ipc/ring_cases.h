#ifndef CONC_RING_CASES_H
#define CONC_RING_CASES_H

/* The cases of select (core/select.h) that are about rings. */

#include "core/select.h"
#include "ipc/cargo.h"

/*
 * The next message of 'r', which is a part of 'o': it goes to c->msg, as bytes
 * without references if c->seen says CONC_CARGO_BYTES.
 */
void conc_case_ring_pop(conc_case *c, conc_obj *o, conc_ring *r);

/* Put c->msg, which can leave the process, into the ring. */
void conc_case_ring_push(conc_case *c, conc_obj *o, conc_ring *r);

/* There is a message or the end: nothing is taken. */
void conc_case_ring_ready(conc_case *c, conc_obj *o, conc_ring *r);

#endif
