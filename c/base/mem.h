#ifndef CONC_MEM_H
#define CONC_MEM_H

/*
 * The only way to memory.  Each call returns NULL when there is none, and the
 * n-th call from now does so when a test asked for it.
 */

#include <stdbool.h>
#include <stddef.h>

void *conc_alloc(size_t size);
void *conc_realloc(void *p, size_t size);
void conc_free(void *p);
/* The same from the start of a line of the cache on; freed by its own call. */
void *conc_alloc_lines(size_t size);
void conc_free_lines(void *p);
char *conc_strdup(const char *s);

/* Is it the turn of this call to fail?  For memory of other kinds. */
bool conc_mem_fails(void);

/*
 * Fail the n-th allocation from now (1: the next), once; 0: never.  Those of
 * the calling thread are counted, or those of all threads if 'everywhere'.
 * Returns how many were left until the one that was asked for before; 0: it has
 * failed.
 */
unsigned conc_mem_fail(unsigned n, bool everywhere);

#endif
