#ifndef CONC_SHM_H
#define CONC_SHM_H

/*
 * Memory that processes share, and what they can know of each other by it.
 * unix_shm.c and windows_shm.c meet this contract.
 */

#include <apr_errno.h>

#include "sys/sys.h"

/*
 * A piece of shared memory as this process sees it: 'size' bytes of address
 * space at 'base'.  'handle' is the system's name for it in this process, and
 * what a child that inherited it calls it by.
 */
typedef struct conc_segment {
  char *base;
  size_t size;
  intptr_t handle;
} conc_segment;

/* ---- Without a name ---- */

/*
 * Address space for 'size' bytes that other processes can map too; no memory
 * yet.  Whatever happens to whom, nothing is left when the last process that
 * has it ends.  The handle is not inherited unless one asks for it.
 */
apr_status_t conc_sys_segment_new(conc_segment *s, size_t size);

/* Map 'size' bytes of a segment by an inherited handle, which 's' keeps. */
apr_status_t conc_sys_segment_open(conc_segment *s, intptr_t handle,
                                   size_t size);

/*
 * Memory, zeros at first, for bytes from .. to - 1, multiples of 64 KiB, in
 * every process that maps the segment.  Done again it does nothing; by one
 * process at a time.  APR_ENOSPC or the like: the machine has no more.  Once
 * there, memory stays: no access is answered by a signal.
 */
apr_status_t conc_sys_segment_commit(const conc_segment *s, size_t from,
                                     size_t to);

/* Unmap; the handle stays valid, or is closed as well. */
void conc_sys_segment_unmap(conc_segment *s);
void conc_sys_segment_close(conc_segment *s);

/* Bytes of address space that a program may well ask for at once. */
size_t conc_sys_segment_most(void);

/* ---- With a name ---- */

enum { CONC_NAME_MOST = 200 /* bytes of a name, without a zero */ };

/*
 * Blocks of memory that any process of the same user finds by name.  'id' tells
 * two apart that had the same name one after the other.  A block made by
 * another program has id 0.
 */
typedef struct conc_named {
  conc_segment map; /* size: what was asked for; handle: of the creator */
  uint64_t id;
} conc_named;

/*
 * A new block: all its memory is there, zeros.  APR_EEXIST: the name is taken;
 * APR_ENOSPC: no memory.  'owned': if this process ends and the name is still
 * there, somebody is to remove it; the handle says that it lives.
 */
apr_status_t conc_sys_named_new(conc_named *n, const char *name, size_t size,
                                bool owned);

/* Map the block of that name.  APR_ENOENT. */
apr_status_t conc_sys_named_open(conc_named *n, const char *name);

/* Unmap it; memory goes with the name and the last who maps it. */
void conc_sys_named_unmap(conc_named *n);

/* Remove the name of the block 'id'.  APR_ENOENT: it has no such block. */
apr_status_t conc_sys_named_remove(const char *name, uint64_t id);

/* A creator's handle is no longer needed: the name is gone. */
void conc_sys_named_forget(intptr_t handle);

/* Can a name outlive its owner, so that somebody has to sweep? */
bool conc_sys_named_lingers(void);

/* Remove the owned blocks of all processes that are dead, if it can be done. */
void conc_sys_named_sweep(void);

/* ---- Who is alive ---- */

/*
 * Each nameless segment has numbers 0, 1, 2 ... that processes can claim.  A
 * claim ends with its process, however that ends, and not before.
 */

/* Claim n for this process; false: another one that is alive has it. */
bool conc_sys_claim(const conc_segment *s, unsigned n);

/* Has a process other than this one, which is alive, claimed n? */
bool conc_sys_claimed(const conc_segment *s, unsigned n);

/* ---- Waiting ---- */

/*
 * As conc_sys_wait and conc_sys_wake, for a word in shared memory, between all
 * threads of all processes that map it.  wake returns false when surely nobody
 * was woken.
 */
void conc_sys_wait_shared(conc_word *w, uint32_t expected, int64_t timeout);
bool conc_sys_wake_shared(conc_word *w, bool all);

/* ---- For tests ---- */

/* End this process at once, as by SIGKILL. */
void conc_sys_die(void);

#endif
