/*
 * A ledger is a list of pages in the heap.  A place in it is 0 or the offset
 * of what it holds while it is in use, or odd: a link of the list of places
 * that are not in use, which only this process reads.
 */

#include "base/status.h"
#include "ipc/layout.h"
#include "ipc/shared.h"
#include "ipc/step.h"
#include "wait/mutex.h"

enum { PLACES = 125 };

typedef struct page {
  conc_ref next;
  conc_ref places[PLACES];
} page;

/* This process's places that are not in use: offset + 1 of the first, or 1. */
static struct {
  conc_word lock;
  uint64_t first; /* [l] */
} spare = {.first = 1};

/* The page in 'fresh' becomes the first one. */
static void link_page(conc_slot *slot) {
  conc_txn *t = conc_shard(0);
  uint64_t at = atomic_load(&slot->fresh);
  page *p = conc_heap_at(at);
  for (unsigned i = 0; i < PLACES; i++)
    atomic_store(&p->places[i], 1);
  atomic_store(&p->next, atomic_load(&slot->pages));
  conc_txn_begin(t);
  conc_txn_write(t, &slot->pages, at);
  conc_txn_write(t, &slot->fresh, 0);
  conc_txn_commit(t);
}

static void spare_locked(conc_ref *place) {
  atomic_store(place, spare.first);
  spare.first = conc_heap_offset(place) + 1;
}

static bool add_page_locked(void) {
  conc_slot *slot = conc_slot_of(conc_heap_self());
  if (conc_heap_alloc(&slot->fresh, sizeof(page)) != APR_SUCCESS)
    return false;
  link_page(slot);
  page *p = conc_heap_at(atomic_load(&slot->pages));
  for (unsigned i = PLACES; i-- > 0;)
    spare_locked(&p->places[i]);
  return true;
}

conc_ref *conc_ledger_get(void) {
  conc_ref *place = NULL;
  if (conc_heap_left())
    return NULL;
  conc_mutex_lock(&spare.lock);
  if (spare.first != 1 || add_page_locked()) {
    place = conc_heap_at(spare.first - 1);
    spare.first = atomic_load(place);
    atomic_store(place, 0);
  }
  conc_mutex_unlock(&spare.lock);
  return place;
}

void conc_ledger_put(conc_ref *place) {
  if (conc_heap_left())
    return;
  conc_mutex_lock(&spare.lock);
  spare_locked(place);
  conc_mutex_unlock(&spare.lock);
}

/* The first page goes by way of 'fresh', so that it is never lost. */
static void unlink_page(conc_slot *slot) {
  conc_txn *t = conc_shard(0);
  uint64_t at = atomic_load(&slot->pages);
  const page *p = conc_heap_at(at);
  conc_txn_begin(t);
  conc_txn_write(t, &slot->fresh, at);
  conc_txn_write(t, &slot->pages, atomic_load(&p->next));
  conc_txn_commit(t);
}

void conc_ledger_sweep(conc_slot *slot) {
  uint64_t at;
  for (;;) {
    if (atomic_load(&slot->fresh) != 0)
      conc_heap_free(&slot->fresh);
    if ((at = atomic_load(&slot->pages)) == 0)
      return;
    page *p = conc_heap_at(at);
    for (unsigned i = 0; i < PLACES; i++) {
      conc_step();
      uint64_t held = atomic_load(&p->places[i]);
      if (held != 0 && held % 2 == 0)
        conc_shared_drop(&p->places[i]);
    }
    unlink_page(slot);
  }
}
