#ifndef CONC_UNIX_H
#define CONC_UNIX_H

/* What linux.c and posix.c do differently for the files of unix_*.c. */

/*
 * A file that only lives in memory, without a name, close-on-exec; -1 and
 * errno.  conc_unix_unnamed is how every Unix can make one.
 */
int conc_unix_memory_file(void);
int conc_unix_unnamed(void);

#endif
