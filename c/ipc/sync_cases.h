#ifndef CONC_SYNC_CASES_H
#define CONC_SYNC_CASES_H

/*
 * The cases of select (core/select.h) that are about events, semaphores and
 * locks in shared memory.  They ring the bell (bell.h) of the processes that
 * watch them, and all who select there look again.
 */

#include "core/select.h"
#include "ipc/sevent.h"
#include "ipc/slock.h"
#include "ipc/srlock.h"
#include "ipc/ssemaphore.h"

/* Set now, or since this call. */
void conc_case_sevent(conc_case *c, conc_sevent *e);

/* A permit, which is taken; c->seen as below. */
void conc_case_ssemaphore(conc_case *c, conc_ssemaphore *s);

/* The lock, which is acquired; c->seen says then that it was abandoned. */
void conc_case_slock(conc_case *c, conc_slock *l);
void conc_case_srlock(conc_case *c, conc_srlock *l, const conc_parker *self);

#endif
