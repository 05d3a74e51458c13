#ifndef CONC_LAYOUT_H
#define CONC_LAYOUT_H

/*
 * What lies in the heap, for the files that make it: heap.c (the segment and
 * its members), alloc.c (blocks), ledger.c, shared.c (counts and classes).
 *
 *   0            the head
 *   CONC_FIRST   runs of pages: a large block each, or a slab of small ones of
 *                one size, or free
 *   top          not used yet
 *   committed    no memory yet
 *
 * A block is 16 bytes of header and its payload; offsets are those of the
 * payload, multiples of 64.
 */

#include "ipc/txn.h"
#include "sys/shm.h"

enum {
  CONC_HEAP_VERSION = 2,
  CONC_PAGE = 4096,
  CONC_BINS = 28,  /* sizes of small blocks, see alloc.c */
  CONC_SHARDS = 16 /* locks for counts */
};

/* A member.  Its number is generation << 10 | slot. */
enum { CONC_SLOT_FREE, CONC_SLOT_USED };

/*
 * [m] written by who has claimed the slot, or by its burial
 * [b] guarded by 'burial'
 */
typedef struct conc_slot {
  _Alignas(64) conc_word state; /* [m] */
  conc_word generation;         /* [m] changes before the slot is used */
  conc_ref pid;                 /* [m] the system's number, for people */
  conc_word burial;             /* a robust latch */
  conc_word bell;               /* see bell.h */
  conc_ref pages;               /* [m] its ledger, see ledger.c */
  conc_ref fresh;               /* [m] a page on its way there or back */
} conc_slot;

/* Small blocks of one size.  [l] under 'alloc' */
typedef struct conc_bin {
  conc_ref free;         /* [l] list by conc_block.link */
  conc_ref fresh, limit; /* [l] never used ones, of the last slab */
} conc_bin;

/* [c] constant once made   [l] under 'alloc' */
typedef struct conc_head {
  char magic[8];    /* [c] last written */
  uint64_t version; /* [c] */
  uint64_t reserve; /* [c] bytes of address space */
  conc_txn alloc;
  conc_ref committed; /* [l] */
  conc_ref top;       /* [l] */
  conc_ref runs;      /* [l] free runs of pages, by address */
  conc_ref bytes;     /* [l] in blocks, with their headers */
  conc_ref blocks;    /* [l] */
  conc_bin bins[CONC_BINS];
  conc_txn counts[CONC_SHARDS];
  conc_slot slots[CONC_MEMBERS];
} conc_head;

/*
 * The header of a block.  'mark' holds bit fields, so that a txn can change
 * any of them: the count of places (32 bits), the class (16), the bin (16).
 *   [f] of the free list: under 'alloc'   [s] under its shard, or of whoever
 *   has the only place
 */
typedef struct conc_block {
  conc_ref link; /* [f] free: the next one; used: bytes, with this header */
  conc_ref mark; /* [s] 0 while free */
} conc_block;

enum { CONC_LARGE = 0xffff }; /* instead of a bin */

static inline uint64_t conc_mark(uint32_t refs, uint16_t cls, uint16_t bin) {
  return (uint64_t)refs | (uint64_t)cls << 32 | (uint64_t)bin << 48;
}

static inline uint32_t conc_mark_refs(uint64_t mark) { return (uint32_t)mark; }
static inline uint16_t conc_mark_class(uint64_t mark) {
  return (uint16_t)(mark >> 32);
}
static inline uint16_t conc_mark_bin(uint64_t mark) {
  return (uint16_t)(mark >> 48);
}

static inline conc_head *conc_layout(void) {
  return (conc_head *)(void *)conc_heap_base;
}

static inline bool conc_layout_has(const void *p) {
  return (uintptr_t)p - (uintptr_t)conc_heap_base < sizeof(conc_head);
}

static inline conc_block *conc_block_at(uint64_t offset) {
  return (conc_block *)conc_heap_at(offset) - 1;
}

/* Who guards the count of the block at 'offset'. */
static inline conc_txn *conc_shard(uint64_t offset) {
  return &conc_layout()->counts[(offset >> 6) * 0x9e3779b1u >> 8 & 15];
}

static inline conc_slot *conc_slot_of(uint32_t member) {
  return &conc_layout()->slots[member % CONC_MEMBERS];
}

/* Set up the allocator of a new heap; its head is all zeros. */
void conc_alloc_init(uint64_t committed);

/* Memory up to 'to' bytes; under 'alloc', which it writes to. */
apr_status_t conc_heap_commit(uint64_t to);

/* Drop everything in the ledger of a slot and free it; under 'burial'. */
void conc_ledger_sweep(conc_slot *slot);

#endif
