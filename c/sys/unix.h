#ifndef CONC_UNIX_H
#define CONC_UNIX_H

/* What the files of c/sys for Unix share; nobody else includes it. */

#include <apr_errno.h>
#include <stddef.h>

/* ---- What linux.c and posix.c do differently ---- */

/*
 * A file that only lives in memory, without a name, close-on-exec, which takes
 * record locks; -1 and errno.  conc_unix_unnamed is how every Unix can make one,
 * but some do not lock it.
 */
int conc_unix_memory_file(void);
int conc_unix_unnamed(void);

/*
 * Before it is mapped: it is going to have that many bytes.  Some systems map
 * only what is there; memory it takes later.
 */
int conc_unix_reserve(int fd, size_t size);

/* Memory for these bytes of it, which are there from now on, as far as the
   system can be asked for it; an error number. */
int conc_unix_allocate(int fd, size_t from, size_t size);

/* ---- Descriptors ---- */

/* A pipe whose ends no program inherits, and that are no standard ones. */
apr_status_t conc_unix_pipe(int ends[2]);

/* The descriptor, or another one for the same if it is a standard one's. */
int conc_unix_lift(int fd);

/* ---- Children ---- */

/* Wait for a child in a thread of its own (conc_sys_child_watch). */
struct conc_sys_child;
apr_status_t conc_unix_child_thread(struct conc_sys_child *c);

#endif
