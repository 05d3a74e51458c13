/*
 * No notify is lost while nobody dies.  A sleeper sets SLEEPERS and then asks
 * the predicate; an adder makes the predicate true and then looks for the flag
 * (all seq_cst): one of them sees the other.  An adder that sees it changes the
 * word before it wakes, so that who is about to sleep does not.
 *
 * SLEEPERS stays when one of several is woken.  It goes when a wake finds
 * nobody, by an exchange that fails if the word has changed; who fell asleep
 * on the word between that wake and the exchange is woken by a second one.  A
 * count instead of the flag would be left too high by a death, for ever.
 *
 * A waiter that was woken and gives up passes the word on if there is still
 * something; one that dies does not, and so everybody looks now and then.
 */

#include "ipc/sgate.h"

#include "ipc/layout.h"
#include "ipc/step.h"
#include "ipc/word.h"
#include "wait/spin.h"

enum { SLEEPERS = CONC_SGATE_SLEEPERS, WATCHED = CONC_SGATE_WATCHED };

/* How long a sleeper relies on others at first, and at most. */
static const int64_t SLICE = 50000000, LONGEST = 800000000;

static void ring(conc_sgate *g) {
  const conc_head *h = conc_layout();
  uint64_t who = atomic_exchange(&g->watchers, 0);
  conc_step();
  for (unsigned i = 0; who != 0 && i < CONC_MEMBERS; i++) {
    const conc_slot *slot = &h->slots[i];
    if ((who >> i % 64 & 1) == 0 || atomic_load(&slot->state) == CONC_SLOT_FREE)
      continue;
    conc_word *bell = (conc_word *)&slot->bell;
    atomic_fetch_add(bell, 1);
    (void)conc_word_wake(bell, true);
  }
}

/* Nobody was woken: so nobody sleeps, unless he has just come. */
static void clear(conc_sgate *g, uint32_t seen) {
  if (atomic_compare_exchange_strong(&g->seq, &seen,
                                     seen & ~(uint32_t)SLEEPERS))
    (void)conc_word_wake(&g->seq, true);
}

void conc_sgate_wake(conc_sgate *g, bool all) {
  uint32_t v = atomic_load(&g->seq), gone, to;
  do {
    gone = all ? SLEEPERS | WATCHED : WATCHED;
    to = (v + CONC_SGATE_STEP) & ~gone;
  } while (!atomic_compare_exchange_weak(&g->seq, &v, to));
  conc_step();
  if ((v & SLEEPERS) != 0 && !conc_word_wake(&g->seq, all) && !all)
    clear(g, to);
  if ((v & WATCHED) != 0)
    ring(g);
}

void conc_sgate_watch(conc_sgate *g) {
  atomic_fetch_or(&g->watchers, (uint64_t)1 << conc_heap_self() % 64);
  atomic_fetch_or(&g->seq, WATCHED);
}

static apr_status_t leave(conc_sgate *g, bool (*ready)(const void *),
                          const void *arg, apr_status_t st) {
  if (ready(arg))
    conc_sgate_notify(g);
  return st;
}

/* Announce a sleeper; what to sleep on. */
static uint32_t announce(conc_sgate *g) {
  return atomic_fetch_or(&g->seq, SLEEPERS) | SLEEPERS;
}

apr_status_t conc_sgate_await(conc_sgate *g, bool (*ready)(const void *),
                              const void *arg, conc_parker *self,
                              conc_time deadline) {
  if (ready(arg))
    return APR_SUCCESS;
  if (deadline == CONC_NOW)
    return APR_TIMEUP;
  if (conc_spin(self, ready, arg))
    return APR_SUCCESS;
  for (int64_t slice = SLICE;; slice = slice < LONGEST ? slice * 2 : slice) {
    uint32_t seen = announce(g);
    if (ready(arg))
      return APR_SUCCESS;
    conc_time until = conc_sys_now() + slice;
    bool last = deadline <= until;
    apr_status_t st =
      conc_word_sleep(&g->seq, seen, self, last ? deadline : until);
    if (ready(arg) && st == APR_SUCCESS)
      return st;
    if (st != APR_SUCCESS && (last || !APR_STATUS_IS_TIMEUP(st)))
      return leave(g, ready, arg, st);
  }
}
