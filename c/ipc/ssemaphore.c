/*
 * The count and what a process has of it change in one step, under the txn: so
 * there is no moment at which a permit is gone and nobody has it.
 *
 * A stake is in the ledger of its process for as long as that has the
 * semaphore.  When the process lets it go, or is buried, the stake is destroyed
 * with what it holds, which is given back; doing it twice gives nothing the
 * second time.
 */

#include "ipc/ssemaphore.h"

#include <string.h>

/* How long a waiter relies on others to bury the dead. */
static const int64_t SLICE = 500000000;

/* ---- Stakes ---- */

static bool is_semaphore(uint64_t at) {
  if (at == 0 || !conc_heap_valid(at))
    return false;
  conc_shared_id id = conc_shared_class_of(at);
  return id == CONC_SHARED_SEMAPHORE || id == CONC_SHARED_BOUNDED;
}

/* What there may be at most limits what a stake with nonsense can give. */
static void give_back(conc_ssemaphore_word *w, conc_stake *k) {
  conc_txn_begin(&w->txn);
  uint64_t held = atomic_load(&k->held), value = atomic_load(&w->value);
  if (held == 0 || atomic_load(&w->loose) != 0 || value > w->most) {
    conc_txn_abort(&w->txn);
    return;
  }
  uint64_t room = w->most - value;
  conc_txn_write(&w->txn, &k->held, 0);
  conc_txn_write(&w->txn, &w->abandoned, 1);
  conc_txn_write(&w->txn, &w->value, value + (held < room ? held : room));
  conc_txn_commit(&w->txn);
  conc_sgate_notify_all(&w->gate);
}

static void destroy_stake(void *object) {
  conc_stake *k = object;
  uint64_t owner = atomic_load(&k->owner);
  if (is_semaphore(owner))
    give_back(conc_heap_at(owner), k);
  conc_shared_drop(&k->owner);
}

const conc_shared_class conc_stake_class = {.cls = {"Stake", NULL},
                                            .id = CONC_SHARED_STAKE,
                                            .least = sizeof(conc_stake),
                                            .destroy = destroy_stake};

static apr_status_t open_stake(conc_proxy *p) {
  conc_ref *place = conc_ledger_get();
  if (place == NULL)
    return CONC_EXHAUSTED;
  apr_status_t st = conc_heap_alloc(place, sizeof(conc_stake));
  if (st != APR_SUCCESS) {
    conc_ledger_put(place);
    return st;
  }
  conc_stake *k = conc_heap_at(atomic_load(place));
  memset(k, 0, sizeof *k);
  conc_shared_brand(atomic_load(place), CONC_SHARED_STAKE);
  conc_shared_put(&k->owner, p);
  ((conc_ssemaphore *)p)->stake = place;
  return APR_SUCCESS;
}

static conc_stake *stake_of(const conc_ssemaphore *s) {
  return conc_heap_at(atomic_load(s->stake));
}

static void close_stake(conc_proxy *p) {
  const conc_ssemaphore *s = (conc_ssemaphore *)p;
  if (s->stake == NULL)
    return;
  conc_shared_drop(s->stake);
  conc_ledger_put(s->stake);
}

/* ---- Semaphores ---- */

const conc_shared_class conc_ssemaphore_class = {
  .cls = {"Semaphore", conc_proxy_destroy},
  .id = CONC_SHARED_SEMAPHORE,
  .size = sizeof(conc_ssemaphore),
  .least = sizeof(conc_ssemaphore_word),
  .open = open_stake,
  .close = close_stake};

const conc_shared_class conc_sbounded_class = {
  .cls = {"BoundedSemaphore", conc_proxy_destroy},
  .id = CONC_SHARED_BOUNDED,
  .size = sizeof(conc_ssemaphore),
  .least = sizeof(conc_ssemaphore_word),
  .open = open_stake,
  .close = close_stake};

apr_status_t conc_ssemaphore_new(conc_ssemaphore **out,
                                 const conc_shared_class *cls, uint32_t value) {
  conc_proxy *p;
  apr_status_t st = conc_shared_new(&p, cls, sizeof(conc_ssemaphore_word));
  if (st != APR_SUCCESS)
    return st;
  conc_ssemaphore_word *w = p->at;
  w->most = cls == &conc_sbounded_class ? value : CONC_SEMAPHORE_MAX;
  atomic_store(&w->value, value);
  conc_shared_publish(p);
  st = open_stake(p);
  if (st != APR_SUCCESS) {
    conc_release(&p->obj);
    return st;
  }
  *out = (conc_ssemaphore *)p;
  return APR_SUCCESS;
}

static bool has_permit(const void *arg) {
  const conc_ssemaphore_word *w = arg;
  return atomic_load(&w->value) != 0;
}

apr_status_t conc_ssemaphore_try(conc_ssemaphore *s) {
  conc_ssemaphore_word *w = conc_ssemaphore_at(s);
  conc_stake *k = stake_of(s);
  if (!has_permit(w))
    return APR_EAGAIN;
  conc_txn_begin(&w->txn);
  uint64_t value = atomic_load(&w->value);
  bool told = atomic_load(&w->abandoned) != 0;
  if (value == 0) {
    conc_txn_abort(&w->txn);
    return APR_EAGAIN;
  }
  conc_txn_write(&w->txn, &w->value, value - 1);
  conc_txn_write(&w->txn, &k->held, atomic_load(&k->held) + 1);
  if (told)
    conc_txn_write(&w->txn, &w->abandoned, 0);
  conc_txn_commit(&w->txn);
  return told ? CONC_ABANDONED : APR_SUCCESS;
}

static apr_status_t await(conc_ssemaphore_word *w, conc_parker *self,
                          conc_time deadline) {
  conc_time slice = conc_sys_now() + SLICE;
  if (deadline <= slice)
    return conc_sgate_await(&w->gate, has_permit, w, self, deadline);
  apr_status_t st = conc_sgate_await(&w->gate, has_permit, w, self, slice);
  if (!APR_STATUS_IS_TIMEUP(st))
    return st;
  conc_heap_bury();
  return APR_SUCCESS;
}

apr_status_t conc_ssemaphore_acquire(conc_ssemaphore *s, conc_parker *self,
                                     conc_time deadline) {
  apr_status_t st, took;
  while ((took = conc_ssemaphore_try(s)) == APR_EAGAIN)
    if ((st = await(conc_ssemaphore_at(s), self, deadline)) != APR_SUCCESS)
      return st;
  return took;
}

/* Under the txn: 'n' permits come from this process, or from anywhere. */
static void note_release(conc_ssemaphore_word *w, conc_stake *k, uint32_t n) {
  uint64_t held = atomic_load(&k->held);
  if (n > held)
    conc_txn_write(&w->txn, &w->loose, 1);
  conc_txn_write(&w->txn, &k->held, n > held ? 0 : held - n);
  conc_txn_write(&w->txn, &w->value, atomic_load(&w->value) + n);
}

/* Many permits: it is cheaper to let everybody look. */
apr_status_t conc_ssemaphore_release(conc_ssemaphore *s, uint32_t n) {
  enum { FEW = 4 };
  conc_ssemaphore_word *w = conc_ssemaphore_at(s);
  conc_txn_begin(&w->txn);
  uint64_t value = atomic_load(&w->value);
  if (value > w->most || n > w->most - value) {
    conc_txn_abort(&w->txn);
    return CONC_MISUSE;
  }
  note_release(w, stake_of(s), n);
  conc_txn_commit(&w->txn);
  if (n > FEW)
    conc_sgate_notify_all(&w->gate);
  else
    for (uint32_t i = 0; i < n; i++)
      conc_sgate_notify(&w->gate);
  return APR_SUCCESS;
}
