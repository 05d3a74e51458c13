#include "ipc/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "ipc/layout.h"
#include "ipc/robust.h"
#include "ipc/step.h"
#include "wait/mutex.h"

static const char MAGIC[8] = "conc-h1";

enum { SHIFT = 10 };
static const uint32_t GENERATIONS = 1u << (CONC_MEMBER_BITS - SHIFT);

_Static_assert(CONC_MEMBERS == 1 << SHIFT, "a member number has a slot");

char *conc_heap_base;
uint32_t conc_heap_member;

/* 'opened' is set when all of the above is, and stays. */
static struct {
  conc_word lock;
  conc_word opened;     /* [a] written under 'lock' */
  conc_segment segment; /* [c] once opened */
  uint32_t forks;       /* [c] once opened: conc_sys_forks then */
} heap;

/* ---- Memory ---- */

enum { GRAIN = 1 << 16, LEAST_STEP = 1 << 18 };

static uint64_t round_up(uint64_t n, uint64_t grain) {
  return (n + grain - 1) & ~(grain - 1);
}

static apr_status_t commit(uint64_t from, uint64_t to) {
  return conc_sys_segment_commit(&heap.segment, (size_t)from, (size_t)to);
}

/* Ever larger steps, so that growing costs little, but no wasteful ones. */
apr_status_t conc_heap_commit(uint64_t to) {
  conc_head *h = conc_layout();
  uint64_t have = atomic_load(&h->committed), step = have / 8;
  if (to <= have)
    return APR_SUCCESS;
  if (to > h->reserve)
    return CONC_EXHAUSTED;
  step = step < LEAST_STEP ? LEAST_STEP : step;
  uint64_t want = round_up(to > have + step ? to : have + step, GRAIN);
  want = want < h->reserve ? want : h->reserve;
  if (commit(have, want) != APR_SUCCESS) {
    want = round_up(to, GRAIN);
    if (commit(have, want) != APR_SUCCESS)
      return CONC_EXHAUSTED;
  }
  conc_txn_write(&h->alloc, &h->committed, want);
  return APR_SUCCESS;
}

/* ---- Members ---- */

/* One that is used by a living process, which may be this one. */
static bool slot_alive(unsigned i) {
  return i == conc_heap_member % CONC_MEMBERS ||
         conc_sys_claimed(&heap.segment, i);
}

bool conc_heap_alive(uint32_t member) {
  if (member == conc_heap_member)
    return true;
  const conc_slot *slot = conc_slot_of(member);
  return atomic_load(&slot->generation) == member >> SHIFT &&
         atomic_load(&slot->state) == CONC_SLOT_USED &&
         slot_alive(member % CONC_MEMBERS);
}

/* From now on whoever had the slot before is dead for everybody. */
static void number_self(conc_slot *slot, unsigned i) {
  uint32_t generation = (atomic_load(&slot->generation) + 1) % GENERATIONS;
  generation += generation == 0;
  atomic_store(&slot->generation, generation);
  conc_heap_member = generation << SHIFT | i;
  conc_step();
  atomic_store(&slot->state, CONC_SLOT_USED);
}

/*
 * Make a claimed slot ours.  It may be that of a dead process, which is buried
 * on the way; others who were about to do so may still set it free, but not
 * after we have had the latch.
 */
static void use_slot(unsigned i) {
  conc_slot *slot = &conc_layout()->slots[i];
  number_self(slot, i);
  (void)conc_robust_acquire(&slot->burial, NULL, CONC_FOREVER);
  conc_heap_settle();
  conc_ledger_sweep(slot);
  atomic_store(&slot->pid, conc_sys_pid());
  atomic_store(&slot->state, CONC_SLOT_USED);
  conc_step();
  (void)conc_robust_release(&slot->burial);
}

static apr_status_t enlist(void) {
  for (unsigned i = 0; i < CONC_MEMBERS; i++)
    if (conc_sys_claim(&heap.segment, i)) {
      use_slot(i);
      return APR_SUCCESS;
    }
  return CONC_EXHAUSTED;
}

void conc_heap_settle(void) {
  conc_head *h = conc_layout();
  conc_txn_begin(&h->alloc);
  conc_txn_abort(&h->alloc);
  for (unsigned i = 0; i < CONC_SHARDS; i++) {
    conc_txn_begin(&h->counts[i]);
    conc_txn_abort(&h->counts[i]);
  }
}

/*
 * Every step of a burial may be done twice.  The dead one's last steps are
 * finished first: they may be about places in its ledger.
 */
static void bury(unsigned i) {
  conc_slot *slot = &conc_layout()->slots[i];
  (void)conc_robust_acquire(&slot->burial, NULL, CONC_FOREVER);
  if (atomic_load(&slot->state) == CONC_SLOT_USED && !slot_alive(i)) {
    conc_heap_settle();
    conc_ledger_sweep(slot);
    conc_step();
    atomic_store(&slot->state, CONC_SLOT_FREE);
  }
  conc_step();
  (void)conc_robust_release(&slot->burial);
}

void conc_heap_bury(void) {
  const conc_head *h = conc_layout();
  for (unsigned i = 0; i < CONC_MEMBERS; i++)
    if (atomic_load(&h->slots[i].state) == CONC_SLOT_USED && !slot_alive(i))
      bury(i);
}

/* ---- Opening ---- */

static void publish(void) {
  conc_head *h = conc_layout();
  h->version = CONC_HEAP_VERSION;
  h->reserve = heap.segment.size;
  conc_alloc_init(round_up(sizeof *h, GRAIN));
  memcpy(h->magic, MAGIC, sizeof MAGIC);
}

/* How much to reserve: what CONC_SHARED_MIB says, else a part of the memory. */
static size_t reserve_of(size_t least) {
  const char *text = getenv("CONC_SHARED_MIB");
  size_t most = conc_sys_segment_most();
  unsigned long mib = text == NULL ? 0 : strtoul(text, NULL, 10);
  if (mib == 0 || mib >= most >> 20)
    return most;
  return (size_t)mib << 20 < least ? least : (size_t)mib << 20;
}

static apr_status_t make_segment(conc_segment *s) {
  const size_t least = (size_t)16 << 20;
  apr_status_t st = APR_ENOMEM;
  for (size_t size = reserve_of(least) / CONC_PAGE * CONC_PAGE;
       size >= least && st != APR_SUCCESS; size = size / 2)
    st = conc_sys_segment_new(s, (size_t)round_up(size, GRAIN));
  return st;
}

static apr_status_t make_heap(void) {
  apr_status_t st = make_segment(&heap.segment);
  if (st != APR_SUCCESS)
    return st;
  uint64_t first = round_up(sizeof(conc_head), GRAIN);
  st = commit(0, first);
  if (st != APR_SUCCESS)
    goto close_segment;
  conc_heap_base = heap.segment.base;
  publish();
  st = enlist();
  if (st == APR_SUCCESS)
    return st;

close_segment:
  conc_sys_segment_close(&heap.segment);
  conc_heap_base = NULL;
  return APR_STATUS_IS_ENOSPC(st) ? CONC_EXHAUSTED : st;
}

bool conc_heap_left(void) {
  return atomic_load(&heap.opened) != 0 && conc_sys_forks() != heap.forks;
}

apr_status_t conc_heap_open(void) {
  apr_status_t st = APR_SUCCESS;
  if (atomic_load(&heap.opened) != 0)
    return conc_heap_left() ? CONC_EXHAUSTED : st;
  conc_mutex_lock(&heap.lock);
  heap.forks = conc_sys_forks();
  if (atomic_load(&heap.opened) == 0)
    st = make_heap();
  if (st == APR_SUCCESS)
    atomic_store(&heap.opened, 1);
  conc_mutex_unlock(&heap.lock);
  return st;
}

/* Its size stands in it. */
static apr_status_t map_heap(intptr_t handle) {
  conc_segment *s = &heap.segment;
  apr_status_t st = conc_sys_segment_open(s, handle, GRAIN);
  if (st != APR_SUCCESS)
    return st;
  const conc_head *h = (const conc_head *)(void *)s->base;
  uint64_t reserve = h->reserve;
  bool good = memcmp(h->magic, MAGIC, sizeof MAGIC) == 0 &&
              h->version == CONC_HEAP_VERSION && reserve <= SIZE_MAX;
  conc_sys_segment_unmap(s);
  return good ? conc_sys_segment_open(s, handle, (size_t)reserve)
              : CONC_CORRUPT;
}

static apr_status_t attach(intptr_t handle) {
  if (atomic_load(&heap.opened) != 0)
    return CONC_MISUSE;
  apr_status_t st = map_heap(handle);
  if (st != APR_SUCCESS)
    return st;
  conc_heap_base = heap.segment.base;
  heap.forks = conc_sys_forks();
  st = enlist();
  if (st != APR_SUCCESS) {
    conc_sys_segment_unmap(&heap.segment);
    conc_heap_base = NULL;
    return st;
  }
  atomic_store(&heap.opened, 1);
  return APR_SUCCESS;
}

apr_status_t conc_heap_attach(intptr_t handle) {
  conc_mutex_lock(&heap.lock);
  apr_status_t st = attach(handle);
  conc_mutex_unlock(&heap.lock);
  return st;
}

intptr_t conc_heap_handle(void) { return heap.segment.handle; }
