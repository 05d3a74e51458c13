/*
 * No notify is lost.  Say an adder made the predicate true and then read
 * 'sleepers' and 'spinners' (all seq_cst).
 *
 *  - sleepers == 0: every waiter that comes later registers before it asks
 *    the predicate again, and so sees what was added.
 *  - spinners > 0: that thread asks the predicate once more after it has
 *    stopped spinning, in 'asleep' or in 'leave'.  Several adders may rely on
 *    one spinner: it takes one thing and notifies for the rest (the rule of
 *    use in gate.h).  If it leaves empty-handed it passes the word on.
 *  - else: the adder changes 'seq' and wakes one.  A sleeper that has read
 *    'seq' before and is not queued yet finds it changed and asks again; one
 *    that reads it later asks the predicate later.  One that is queued is
 *    chosen, if no other was.
 *
 * 'sleepers' is raised by the sleeper, and lowered once for each: by the waker
 * that chose it (so that the next notify does not wake it a second time while
 * it is on its way), or by itself when nobody did.  It never counts too few.
 *
 * spec/models/gate.pml is this file in Promela.
 */

#include "wait/gate.h"

#include "wait/spin.h"

void conc_gate_wake_one(conc_gate *g) {
  atomic_fetch_add(&g->seq, 1);
  if (conc_wake(&g->seq, 1) != 0)
    atomic_fetch_sub(&g->sleepers, 1);
}

void conc_gate_wake_all(conc_gate *g) {
  atomic_fetch_add(&g->seq, 1);
  atomic_fetch_sub(&g->sleepers, (uint32_t)conc_wake(&g->seq, CONC_ALL));
}

void conc_gate_enter(conc_gate *g, conc_waiter *w) {
  atomic_fetch_add(&g->sleepers, 1);
  w->word = &g->seq;
  w->expected = atomic_load(&g->seq);
}

void conc_gate_leave(conc_gate *g, bool chosen) {
  if (!chosen)
    atomic_fetch_sub(&g->sleepers, 1);
}

static bool spin(conc_gate *g, bool (*ready)(const void *), const void *arg,
                 conc_parker *self) {
  atomic_fetch_add(&g->spinners, 1);
  bool seen = conc_spin(self, ready, arg);
  atomic_fetch_sub(&g->spinners, 1);
  return seen;
}

/* A wait that ends without taking hands on what an adder relied on it for. */
static apr_status_t leave(conc_gate *g, bool (*ready)(const void *),
                          const void *arg, apr_status_t st) {
  if (ready(arg))
    conc_gate_notify(g);
  return st;
}

apr_status_t conc_gate_await(conc_gate *g, bool (*ready)(const void *),
                             const void *arg, conc_parker *self,
                             conc_time deadline) {
  if (ready(arg))
    return APR_SUCCESS;
  if (deadline == CONC_NOW)
    return APR_TIMEUP;
  if (spin(g, ready, arg, self))
    return APR_SUCCESS;
  for (;;) {
    conc_waiter one = {0};
    size_t which;
    conc_gate_enter(g, &one);
    if (ready(arg)) {
      conc_gate_leave(g, false);
      return APR_SUCCESS;
    }
    apr_status_t st = conc_wait_any(&one, 1, &which, self, deadline);
    conc_gate_leave(g, st == APR_SUCCESS);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return leave(g, ready, arg, st);
    if (ready(arg))
      return APR_SUCCESS;
  }
}
