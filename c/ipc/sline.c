/*
 * What a turn was told is written under the txn, with its leaving the line, in
 * one step; so it is told exactly once, whoever dies.  Waking it comes after,
 * under the lock still: the turn cannot go away, since destroying it takes the
 * lock.  A waker that dies before it does so leaves a sleeper who looks again
 * by himself.
 *
 * 'sleep': AWAKE; ASLEEP, or about to be; TOLD.  A waker that finds nobody
 * ASLEEP makes no call of the kernel.
 */

#include "ipc/sline.h"

#include <string.h>

#include "ipc/sbarrier.h"
#include "ipc/step.h"
#include "ipc/word.h"
#include "wait/spin.h"

enum { AWAKE, ASLEEP, TOLD };

/* How long to rely on others. */
static const int64_t SLICE = 200000000;

/* ---- The line ---- */

static conc_ref *next_of(conc_sline *line, uint64_t prev) {
  return prev == 0 ? &line->first : &((conc_sturn *)conc_heap_at(prev))->next;
}

static conc_ref *prev_of(conc_sline *line, uint64_t next) {
  return next == 0 ? &line->last : &((conc_sturn *)conc_heap_at(next))->prev;
}

void conc_sline_join(conc_sline *line, conc_sturn *t) {
  uint64_t at = conc_heap_offset(t), last = atomic_load(&line->last);
  conc_txn_write(&line->txn, &t->prev, last);
  conc_txn_write(&line->txn, &t->next, 0);
  conc_txn_write(&line->txn, &t->inside, 1);
  conc_txn_write(&line->txn, next_of(line, last), at);
  conc_txn_write(&line->txn, &line->last, at);
}

void conc_sline_leave(conc_sline *line, conc_sturn *t) {
  uint64_t prev = atomic_load(&t->prev), next = atomic_load(&t->next);
  conc_txn_write(&line->txn, next_of(line, prev), next);
  conc_txn_write(&line->txn, prev_of(line, next), prev);
  conc_txn_write(&line->txn, &t->inside, 0);
}

void conc_sline_tell(conc_sline *line, conc_sturn *t, uint64_t what) {
  conc_sline_leave(line, t);
  conc_txn_write(&line->txn, &t->told, what);
  conc_txn_step(&line->txn);
  if (atomic_exchange(&t->sleep, TOLD) == ASLEEP)
    (void)conc_word_wake(&t->sleep, true);
}

/* ---- Turns ---- */

/* Who has it has left the line, or died in it. */
static void destroy(void *object) {
  conc_sturn *t = object;
  uint64_t owner = atomic_load(&t->owner);
  if (owner == 0 || !conc_heap_valid(owner))
    return;
  conc_sline *line = conc_heap_at(owner);
  conc_txn_begin(&line->txn);
  if (atomic_load(&t->inside) == 0) {
    conc_txn_abort(&line->txn);
  } else if (conc_shared_class_of(owner) == CONC_SHARED_BARRIER) {
    conc_sbarrier_lose(line, t);
  } else {
    conc_sline_leave(line, t);
    conc_txn_commit(&line->txn);
  }
  conc_shared_drop(&t->owner);
}

const conc_shared_class conc_sturn_class = {.cls = {"Turn", NULL},
                                            .id = CONC_SHARED_TURN,
                                            .least = sizeof(conc_sturn),
                                            .destroy = destroy};

apr_status_t conc_sturn_new(conc_ref **place, const conc_proxy *owner) {
  conc_ref *mine = conc_ledger_get();
  if (mine == NULL)
    return CONC_EXHAUSTED;
  apr_status_t st = conc_heap_alloc(mine, sizeof(conc_sturn));
  if (st != APR_SUCCESS) {
    conc_ledger_put(mine);
    return st;
  }
  conc_sturn *t = conc_sturn_at(mine);
  memset(t, 0, sizeof *t);
  t->member = conc_heap_self();
  conc_shared_brand(atomic_load(mine), CONC_SHARED_TURN);
  conc_shared_put(&t->owner, owner);
  *place = mine;
  return APR_SUCCESS;
}

void conc_sturn_free(conc_ref *place) {
  conc_shared_drop(place);
  conc_ledger_put(place);
}

static bool told(const void *arg) { return conc_sturn_told(arg) != 0; }

/* Others may have died without being buried, and with them what we wait for. */
static apr_status_t sleep_once(conc_sturn *t, conc_parker *self,
                               conc_time deadline) {
  conc_time until = conc_sys_now() + SLICE;
  bool last = deadline <= until;
  apr_status_t st =
    conc_word_sleep(&t->sleep, ASLEEP, self, last ? deadline : until);
  if (!APR_STATUS_IS_TIMEUP(st) || last)
    return st;
  conc_heap_bury();
  return APR_SUCCESS;
}

apr_status_t conc_sturn_wait(conc_sturn *t, conc_parker *self,
                             conc_time deadline) {
  if (told(t) || (deadline != CONC_NOW && conc_spin(self, told, t)))
    return APR_SUCCESS;
  uint32_t awake = AWAKE;
  (void)atomic_compare_exchange_strong(&t->sleep, &awake, ASLEEP);
  while (!told(t)) {
    apr_status_t st = sleep_once(t, self, deadline);
    if (st != APR_SUCCESS)
      return told(t) ? APR_SUCCESS : st;
  }
  return APR_SUCCESS;
}
