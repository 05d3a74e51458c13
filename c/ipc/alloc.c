/*
 * Blocks.  Small ones come in CONC_BINS sizes: multiples of 64 up to 1 KiB,
 * then four to a doubling up to 8 KiB.  Each size takes its blocks from its
 * free list, else from what is left of its last slab.  Slabs and large blocks
 * are runs of pages; free runs are a list by address, neighbours are joined,
 * the first that is large enough is used from its end.
 *
 * Everything happens under one txn, a few instructions long.  Nothing is
 * written but through it, except to memory that belongs to nobody.
 *
 * A block starts 48 bytes into a multiple of 64, so that its payload starts
 * at one; a run keeps its own list's words in those first 48 bytes.
 */

#include "base/mem.h"
#include "base/status.h"
#include "ipc/layout.h"

enum {
  HEADER = sizeof(conc_block),
  LEAD = 48, /* of a run before its first block */
  UNIT = 64,
  UNITS = 1024 / UNIT,
  SMALL = 8192, /* the largest stride of a small block */
  SLAB = 1 << 16
};

_Static_assert(LEAD + HEADER == UNIT, "payloads are aligned");

/* A free run, at its start. */
typedef struct run {
  conc_ref next; /* offset of the next, by address */
  conc_ref len;  /* bytes */
} run;

static run *run_at(uint64_t offset) { return conc_heap_at(offset); }

static uint64_t first_run(void) {
  return (sizeof(conc_head) + CONC_PAGE - 1) / CONC_PAGE * CONC_PAGE;
}

void conc_alloc_init(uint64_t committed) {
  atomic_store(&conc_layout()->top, first_run());
  atomic_store(&conc_layout()->committed, committed);
}

/* ---- Sizes ---- */

static uint64_t stride_of(unsigned bin) {
  if (bin < UNITS)
    return (uint64_t)(bin + 1) * UNIT;
  unsigned doubling = (bin - UNITS) / 4, quarter = (bin - UNITS) % 4 + 1;
  return (uint64_t)(1024 + 256 * quarter) << doubling;
}

/* The smallest bin for blocks of 'size' bytes, header included; <= SMALL. */
static unsigned bin_for(uint64_t size) {
  if (size <= 1024)
    return (unsigned)((size + UNIT - 1) / UNIT) - 1;
  unsigned bin = UNITS;
  while (stride_of(bin) < size)
    bin++;
  return bin;
}

/* ---- Runs ---- */

static void set(conc_ref *word, uint64_t value) {
  conc_txn_write(&conc_layout()->alloc, word, value);
}

/* Take 'len' bytes off the end of the run at 'here', which *link leads to. */
static uint64_t cut(conc_ref *link, run *here, uint64_t len) {
  uint64_t left = atomic_load(&here->len) - len;
  if (left == 0)
    set(link, atomic_load(&here->next));
  else
    set(&here->len, left);
  return conc_heap_offset(here) + left;
}

/* From above everything, together with the last run if that ends there. */
static apr_status_t grow(conc_ref *last_link, uint64_t len, uint64_t *out) {
  conc_head *h = conc_layout();
  uint64_t top = atomic_load(&h->top), last = atomic_load(last_link);
  bool joins = last != 0 && last + atomic_load(&run_at(last)->len) == top;
  uint64_t start = joins ? last : top;
  if (len > h->reserve - start)
    return CONC_EXHAUSTED;
  apr_status_t st = conc_heap_commit(start + len);
  if (st != APR_SUCCESS)
    return st;
  if (joins)
    set(last_link, 0);
  set(&h->top, start + len);
  *out = start;
  return APR_SUCCESS;
}

static apr_status_t take_run(uint64_t len, uint64_t *out) {
  conc_ref *link = &conc_layout()->runs, *last = link;
  uint64_t at;
  while ((at = atomic_load(link)) != 0) {
    run *here = run_at(at);
    if (atomic_load(&here->len) >= len) {
      *out = cut(link, here, len);
      return APR_SUCCESS;
    }
    last = link;
    link = &here->next;
  }
  return grow(last, len, out);
}

/*
 * Give a run back: into the gap between *link's run 'before' and the next.
 * The words of the run itself are nobody's until it is in the list.
 */
static void give_run(uint64_t at, uint64_t len) {
  conc_ref *link = &conc_layout()->runs;
  uint64_t before = 0, next;
  while ((next = atomic_load(link)) != 0 && next < at) {
    before = next;
    link = &run_at(next)->next;
  }
  if (next == at + len) { /* joins the one behind */
    len += atomic_load(&run_at(next)->len);
    next = atomic_load(&run_at(next)->next);
  }
  if (before != 0 && before + atomic_load(&run_at(before)->len) == at) {
    set(&run_at(before)->len, at + len - before);
    set(link, next);
    return;
  }
  atomic_store(&run_at(at)->next, next);
  atomic_store(&run_at(at)->len, len);
  set(link, at);
}

/* ---- Blocks ---- */

/* Its header is at 'start'; the place that will own it is *owner. */
static void make_block(conc_ref *owner, uint64_t start, uint64_t size,
                       uint16_t bin) {
  conc_head *h = conc_layout();
  conc_block *b = conc_heap_at(start);
  set(&b->link, size);
  set(&b->mark, conc_mark(1, 0, bin));
  set(&h->bytes, atomic_load(&h->bytes) + size);
  set(&h->blocks, atomic_load(&h->blocks) + 1);
  set(owner, start + HEADER);
}

static apr_status_t alloc_small(conc_ref *owner, unsigned bin) {
  conc_bin *b = &conc_layout()->bins[bin];
  uint64_t stride = stride_of(bin), start = atomic_load(&b->free);
  if (start != 0) {
    set(&b->free, atomic_load(&((conc_block *)conc_heap_at(start))->link));
  } else {
    uint64_t fresh = atomic_load(&b->fresh), limit = atomic_load(&b->limit);
    if (fresh + stride > limit) {
      apr_status_t st = take_run(SLAB, &fresh);
      if (st != APR_SUCCESS)
        return st;
      set(&b->limit, fresh + SLAB);
      fresh += LEAD;
    }
    set(&b->fresh, fresh + stride);
    start = fresh;
  }
  make_block(owner, start, stride, (uint16_t)bin);
  return APR_SUCCESS;
}

static apr_status_t alloc_large(conc_ref *owner, uint64_t size) {
  uint64_t len = (size + LEAD + CONC_PAGE - 1) / CONC_PAGE * CONC_PAGE, at;
  apr_status_t st = take_run(len, &at);
  if (st == APR_SUCCESS)
    make_block(owner, at + LEAD, len - LEAD, CONC_LARGE);
  return st;
}

apr_status_t conc_heap_alloc(conc_ref *owner, size_t size) {
  conc_txn *t = &conc_layout()->alloc;
  if (size > conc_layout()->reserve || conc_mem_fails())
    return CONC_EXHAUSTED;
  uint64_t all = (uint64_t)size + HEADER;
  conc_txn_begin(t);
  apr_status_t st =
    all <= SMALL ? alloc_small(owner, bin_for(all)) : alloc_large(owner, all);
  if (st == APR_SUCCESS)
    conc_txn_commit(t);
  else
    conc_txn_abort(t);
  return st;
}

/* Of a block that has nonsense in its header nothing but the place goes. */
void conc_heap_free(conc_ref *owner) {
  conc_head *h = conc_layout();
  conc_txn_begin(&h->alloc);
  uint64_t offset = atomic_load(owner), start = offset - HEADER;
  if (!conc_heap_valid(offset)) {
    conc_txn_abort(&h->alloc);
    atomic_store(owner, 0);
    return;
  }
  conc_block *b = conc_block_at(offset);
  uint64_t size = atomic_load(&b->link);
  uint16_t bin = conc_mark_bin(atomic_load(&b->mark));
  set(&b->mark, 0);
  if (bin == CONC_LARGE) {
    give_run(start - LEAD, size + LEAD);
  } else {
    set(&b->link, atomic_load(&h->bins[bin].free));
    set(&h->bins[bin].free, start);
  }
  set(&h->bytes, atomic_load(&h->bytes) - size);
  set(&h->blocks, atomic_load(&h->blocks) - 1);
  set(owner, 0);
  conc_txn_commit(&h->alloc);
}

size_t conc_heap_size(uint64_t offset) {
  return (size_t)(atomic_load(&conc_block_at(offset)->link) - HEADER);
}

/* Is that the size of a block of that bin, with its header at 'start'? */
static bool fits(uint64_t start, uint64_t size, uint16_t bin) {
  uint64_t top = atomic_load(&conc_layout()->top);
  if (size < HEADER || start > top || size > top - start)
    return false;
  if (bin < CONC_BINS)
    return size == stride_of(bin);
  return bin == CONC_LARGE && start % CONC_PAGE == LEAD &&
         (size + LEAD) % CONC_PAGE == 0;
}

bool conc_heap_valid(uint64_t offset) {
  if (offset % UNIT != 0 || offset <= first_run() ||
      offset >= atomic_load(&conc_layout()->top))
    return false;
  const conc_block *b = conc_block_at(offset);
  uint64_t mark = atomic_load(&b->mark);
  return conc_mark_refs(mark) != 0 &&
         fits(offset - HEADER, atomic_load(&b->link), conc_mark_bin(mark));
}

conc_heap_usage conc_heap_used(void) {
  conc_heap_usage u = {0};
  if (conc_heap_base == NULL)
    return u;
  conc_head *h = conc_layout();
  conc_txn_begin(&h->alloc);
  u.bytes = atomic_load(&h->bytes);
  u.blocks = atomic_load(&h->blocks);
  conc_txn_abort(&h->alloc);
  return u;
}
