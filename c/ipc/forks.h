#ifndef CONC_FORKS_H
#define CONC_FORKS_H

/*
 * A fork server as its parent sees it: a child process that makes other
 * children when asked.  It is made when it is first needed, and again when it
 * has died.
 */

#include "ipc/process.h"

/*
 * Have 'p' (STARTING, listed, 'theirs' the other end of its channel) forked;
 * waits until that has happened.  The server is made by 'how' if there is
 * none.
 */
apr_status_t conc_forks_start(conc_brood *b, conc_process *p,
                              const conc_process_how *how, conc_handle theirs,
                              conc_parker *self);

apr_status_t conc_forks_signal(conc_forks *f, conc_process *p,
                               conc_sys_signal s);

/* End the server; what it forked runs on. */
void conc_forks_close(conc_forks *f);
void conc_forks_release(conc_forks *f);

#endif
