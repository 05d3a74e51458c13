/*
 * The word: FREE; HELD; AWAITED, held and somebody may sleep; STARVED, the
 * same and somebody has lost the race for it for too long; PASSED, free, but
 * only for a thread that a wake has chosen.
 *
 *   FREE -> HELD             a thread that has not slept takes it
 *   FREE, PASSED -> AWAITED  one that was chosen takes it (FREE: any that
 *                            was about to sleep)
 *   HELD -> AWAITED, STARVED; AWAITED -> STARVED   before going to sleep
 *   HELD -> FREE             release: nobody sleeps
 *   AWAITED -> FREE          release, then wakes one
 *   STARVED -> PASSED        release, then wakes one; PASSED -> FREE and one
 *                            more wake if there was nobody
 *
 * No wake-up is lost: while somebody is queued on the word, it is AWAITED,
 * STARVED or PASSED, or a chosen thread is on its way.  A waiter is queued only
 * while the word is one of the three (conc_wait compares).  Every release from
 * AWAITED or STARVED chooses the oldest, or finds nobody queued.  The chosen
 * one takes the latch as AWAITED, or leaves AWAITED or STARVED in it before it
 * sleeps again; it gives up only from that sleep, and then the word stays as it
 * is: at worst the next release wakes nobody.
 *
 * PASSED ends: it is set by a release that then chooses somebody, who takes it
 * unless another chosen one did; or that chooses nobody, and sets FREE.  Those
 * who went to sleep on PASSED in between are why it wakes once more.
 *
 * Why not hand it over each time: the sleeper needs tens of microseconds to
 * come, in which a running thread could have held the latch a thousand times.
 */

#include "core/latch.h"

#include "wait/spin.h"

enum {
  FREE = CONC_LATCH_FREE,
  HELD = CONC_LATCH_HELD,
  AWAITED,
  STARVED,
  PASSED
};

/* Waiting for longer than this and losing once more is starving. */
static const int64_t PATIENCE = 1000000;

static bool take_new(const void *arg) {
  const conc_latch_effort *e = arg;
  /* Relaxed: only a hint, to leave the line with its holder. */
  return atomic_load_explicit(e->word, memory_order_relaxed) == FREE &&
         conc_latch_try(e->word);
}

static bool take_chosen(const void *arg) {
  const conc_latch_effort *e = arg;
  uint32_t v = atomic_load_explicit(e->word, memory_order_relaxed);
  return (v == FREE || v == PASSED) &&
         atomic_compare_exchange_strong(e->word, &v, AWAITED);
}

/* Take the latch, or leave 'note' in it: somebody is going to sleep. */
static bool take_or_mark(conc_latch_effort *e, uint32_t note) {
  uint32_t v = atomic_load(e->word), to;
  bool open;
  do {
    open = v == FREE || (v == PASSED && e->chosen);
    to = open ? AWAITED : note > v ? note : v;
  } while (to != v && !atomic_compare_exchange_weak(e->word, &v, to));
  e->seen = to;
  return open;
}

static uint32_t note_for(const conc_latch_effort *e) {
  return conc_sys_now() - e->since > PATIENCE ? STARVED : AWAITED;
}

static apr_status_t sleep_on(conc_latch_effort *e, conc_parker *self,
                             conc_time deadline) {
  conc_waiter one = {.word = e->word, .expected = e->seen};
  size_t which;
  apr_status_t st = conc_wait_any(&one, 1, &which, self, deadline);
  e->chosen = st == APR_SUCCESS;
  return st == APR_EAGAIN ? APR_SUCCESS : st;
}

apr_status_t conc_latch_acquire(conc_word *w, conc_parker *self,
                                conc_time deadline) {
  if (conc_latch_try(w))
    return APR_SUCCESS;
  if (deadline == CONC_NOW)
    return APR_TIMEUP;
  conc_latch_effort e = {.word = w};
  if (conc_spin(self, take_new, &e))
    return APR_SUCCESS;
  e.since = conc_sys_now();
  while (!take_or_mark(&e, note_for(&e))) {
    apr_status_t st = sleep_on(&e, self, deadline);
    if (st != APR_SUCCESS)
      return st;
    if (e.chosen && conc_spin(self, take_chosen, &e))
      break;
  }
  return APR_SUCCESS;
}

bool conc_latch_take(conc_latch_effort *e) {
  return e->chosen ? take_chosen(e) : take_new(e);
}

bool conc_latch_enter(conc_latch_effort *e, conc_waiter *w) {
  if (e->since == 0)
    e->since = conc_sys_now();
  if (take_or_mark(e, note_for(e)))
    return true;
  w->word = e->word;
  w->expected = e->seen;
  return false;
}

/*
 * The word may be free or passed while others sleep, who rely on this thread.
 * To have taken it as a chosen one does, and released it, puts that right; if
 * somebody else holds it, the mark alone will do.
 */
void conc_latch_decline(conc_latch_effort *e) {
  uint32_t v = atomic_load(e->word);
  e->chosen = false;
  while (v == FREE || v == PASSED || v == HELD) {
    if (!atomic_compare_exchange_weak(e->word, &v, AWAITED))
      continue;
    if (v != HELD)
      (void)conc_latch_hand_over(e->word);
    return;
  }
}

static void pass(conc_word *w) {
  uint32_t v = PASSED;
  if (conc_wake(w, 1) == 0 && atomic_compare_exchange_strong(w, &v, FREE))
    conc_wake(w, 1);
}

apr_status_t conc_latch_hand_over(conc_word *w) {
  uint32_t v = atomic_load(w);
  do {
    if (v == FREE || v == PASSED)
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(w, &v, v == STARVED ? PASSED : FREE));
  if (v == STARVED)
    pass(w);
  else if (v == AWAITED)
    conc_wake(w, 1);
  return APR_SUCCESS;
}
