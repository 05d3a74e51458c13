#ifndef CONC_HEAP_H
#define CONC_HEAP_H

/*
 * The shared heap: memory that all processes of a family map.  The first one
 * that needs it makes it, its children inherit it, and so on; whoever has it
 * mapped is a member.  A process has one heap, or none yet.
 *
 * Any member may die at any instruction.  What holds then:
 *
 *  - Every block belongs to a place: a conc_ref, a word in shared memory that
 *    holds its offset.  A block comes into being, moves and goes together with
 *    the word, in one step that happens or does not (txn.h).  So nothing is
 *    lost as long as somebody knows the places.
 *  - The places of a member are in its ledger, which is in the heap as well.
 *    Whoever notices that a member is dead buries it: drops what its ledger
 *    holds.  A burial that is cut short is done again by the next one.
 *  - Locks know their holder by its member number (robust.h).
 *
 * Blocks lie at different addresses in different processes: what is kept in
 * shared memory is an offset.  Offset 0 is no block.
 *
 * An object is a block with a class and a count of the places that hold it;
 * see shared.h, which is what most of conc uses.
 */

#include <apr_errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/sys.h"

/* A place: the offset of what it holds, or 0. */
typedef _Atomic uint64_t conc_ref;

/* Where the heap is in this process; [c] once it is open. */
extern char *conc_heap_base;

static inline void *conc_heap_at(uint64_t offset) {
  return conc_heap_base + offset;
}

static inline uint64_t conc_heap_offset(const void *p) {
  return (uint64_t)((const char *)p - conc_heap_base);
}

/* ---- Having one ---- */

/*
 * Make the heap, unless this process has one.  APR_ENOMEM and the like: no
 * address space, no descriptor.  Any thread.
 */
apr_status_t conc_heap_open(void);

/*
 * Has a host forked this process from the one that had opened the heap?  Then
 * what is there is that one's: here nothing is given back, and nothing new is
 * to be had (CONC_EXHAUSTED).
 */
bool conc_heap_left(void);

/*
 * Join the family of the parent, by the handle that was inherited from it and
 * is kept from now on.  CONC_MISUSE: this process has a heap already.
 * CONC_CORRUPT: there is no heap of this version of conc.  CONC_EXHAUSTED: too
 * many members.  After a failure the handle is still the caller's.
 */
apr_status_t conc_heap_attach(intptr_t handle);

/* What a child must inherit to attach; the heap is open. */
intptr_t conc_heap_handle(void);

/* Bytes in blocks, and blocks, of the whole family, for leak checks. */
typedef struct conc_heap_usage {
  uint64_t bytes, blocks;
} conc_heap_usage;
conc_heap_usage conc_heap_used(void);

/* ---- Members ---- */

/*
 * A member number names one process for as long as the heap exists (a slot
 * and how often it was used before); it is not 0 and fits in 30 bits.
 */
enum { CONC_MEMBERS = 1024, CONC_MEMBER_BITS = 30 };

extern uint32_t conc_heap_member; /* [c] once the heap is open */

static inline uint32_t conc_heap_self(void) { return conc_heap_member; }

/* A name in the family for what has the number n here; whose name it is. */
enum { CONC_NUMBER_BITS = 64 - CONC_MEMBER_BITS };

static inline uint64_t conc_heap_name(uint64_t n) {
  uint64_t rest = UINT64_MAX >> CONC_MEMBER_BITS;
  return (uint64_t)conc_heap_member << CONC_NUMBER_BITS | (n & rest);
}

static inline uint32_t conc_heap_member_of(uint64_t name) {
  return (uint32_t)(name >> CONC_NUMBER_BITS);
}

/* Does that process still run?  Asks the kernel. */
bool conc_heap_alive(uint32_t member);

/*
 * Bury every member that is dead.  Costs a call of the kernel a member; to be
 * called when a child has ended, and by anybody who has met a dead one.
 */
void conc_heap_bury(void);

/*
 * Finish what the dead have begun to do to the heap.  Who takes a lock of its
 * own from a dead process calls it before it believes any place (txn.h does).
 */
void conc_heap_settle(void);

/* ---- Blocks ---- */

/*
 * A block of at least 'size' bytes, aligned to 64, contents arbitrary, whose
 * offset is put into *owner, which was 0.  CONC_EXHAUSTED: no more memory.
 */
apr_status_t conc_heap_alloc(conc_ref *owner, size_t size);

/* Free the block at *owner, which becomes 0. */
void conc_heap_free(conc_ref *owner);

/* Move what *from holds to *to, which was 0, in one step. */
void conc_heap_move(conc_ref *to, conc_ref *from);

/* Is it the offset of a block, as far as one can see?  For what comes from
   outside. */
bool conc_heap_valid(uint64_t offset);

/* Usable bytes of a block. */
size_t conc_heap_size(uint64_t offset);

/* ---- The ledger ---- */

/*
 * An empty place in this process's ledger: what it holds is dropped when the
 * process dies.  NULL: no memory.  Given back empty.
 */
conc_ref *conc_ledger_get(void);
void conc_ledger_put(conc_ref *place);

#endif
