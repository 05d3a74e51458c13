#ifndef CONC_SNAME_H
#define CONC_SNAME_H

/*
 * The names of blocks that this process has created (sys/shm.h) and must
 * remove: when it is told to, when the program that made them ends, or, since
 * the ledger knows them too, when the process is buried.
 */

#include <apr_errno.h>

#include "ipc/shared.h"
#include "sys/shm.h"

extern const conc_shared_class conc_sname_class;

/*
 * Be responsible for the name of a block from now on, for 'family' (any
 * address).  APR_ENOMEM, CONC_EXHAUSTED: the caller still is.
 */
apr_status_t conc_sname_keep(const conc_named *n, const char *name,
                             const void *family);

/* Remove it now, whoever made it.  APR_ENOENT: there is no such block. */
apr_status_t conc_sname_remove(const char *name, uint64_t id);

/* The program ends: remove what it has made. */
void conc_sname_close(const void *family);

#endif
