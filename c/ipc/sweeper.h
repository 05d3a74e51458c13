#ifndef CONC_SWEEPER_H
#define CONC_SWEEPER_H

/*
 * A process that does nothing but outlive this one: if that ends without having
 * removed the names of its blocks (sname.h), be it by SIGKILL, this one removes
 * them.  It is an interpreter with conc's library, out of the terminal's reach,
 * and has none of the program's files open.
 */

#include "ipc/brood.h"
#include "ipc/process.h"

/* Is one needed here, that does not run? */
bool conc_sweeper_wanted(conc_brood *b);

/*
 * Start one if none runs; how->code ends in conc_child_sweep.  CONC_CLOSED:
 * the brood has ended.
 */
apr_status_t conc_sweeper_start(conc_brood *b, const conc_process_how *how,
                                conc_parker *self);

/* The program ends, and all its names are removed: so does the sweeper. */
void conc_sweeper_close(conc_sweeper *s);
void conc_sweeper_release(conc_sweeper *s);

#endif
