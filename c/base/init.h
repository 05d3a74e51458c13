#ifndef CONC_INIT_H
#define CONC_INIT_H

#include <apr_errno.h>

/*
 * Make APR ready, once in the process whoever comes first; APR's own counter
 * is not safe for that.  Nothing undoes it: a host may use APR as well.
 */
apr_status_t conc_init(void);

#endif
