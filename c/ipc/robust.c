/*
 * The word: the holder's member number, or 0, and two flags.
 *
 *   0 -> me                       a thread that has not slept takes it
 *   0, STARVED -> me, AWAITED     one that has slept takes it
 *   dead -> me, AWAITED           anybody takes it from the dead
 *   + AWAITED, + STARVED          before going to sleep
 *   me -> 0                       release: nobody sleeps
 *   me, AWAITED -> 0              release, then wakes one
 *   me, STARVED -> STARVED        release, then wakes one; who has not slept
 *                                 leaves it to those who have
 *   STARVED -> 0                  nobody was woken; then wakes one more
 *
 * No wake-up is lost while nobody dies: a thread sleeps only on a word that is
 * held or STARVED and has the AWAITED flag; a release from such a word wakes
 * one, who takes the latch with AWAITED again (others may sleep), or finds it
 * taken and marks it before it sleeps again, or gives up and marks it or wakes
 * another one.
 *
 * When somebody dies: a holder is found dead, a thread that was woken takes no
 * turn.  Therefore nobody sleeps for longer than a slice without looking at the
 * word and at its holder, and who has slept may take a STARVED word.
 *
 * Who waits for other things as well (conc_robust_enter) does not sleep on the
 * word: it marks it while it is held, and whoever releases it from such a word
 * tells those (slock.h).  A mark that nobody sleeps for costs one vain wake.
 *
 * Who takes the latch from the dead does so by one compare and exchange with
 * the word it saw, so only one does.
 *
 * spec/models/robust.pml is this file in Promela.
 */

#include "ipc/robust.h"

#include "ipc/step.h"
#include "ipc/word.h"
#include "wait/spin.h"

enum { AWAITED = CONC_ROBUST_AWAITED, STARVED = CONC_ROBUST_STARVED };

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
char conc_world;
#endif

/* Waiting for longer than this and losing once more is starving. */
static const int64_t PATIENCE = 1000000;

/* How long to sleep without a look at who holds it. */
static const int64_t SLICE = 20000000;

struct effort {
  conc_word *word;
  int64_t since; /* when it first went to sleep */
  bool slept;
  uint32_t seen; /* what to sleep on */
};

static bool take_new(const void *arg) {
  const struct effort *e = arg;
  /* Relaxed: only a hint, to leave the line with its holder. */
  return atomic_load_explicit(e->word, memory_order_relaxed) == 0 &&
         conc_robust_try(e->word);
}

static bool take_slept(const void *arg) {
  const struct effort *e = arg;
  uint32_t v = atomic_load_explicit(e->word, memory_order_relaxed);
  return v >> CONC_ROBUST_OWNER == 0 &&
         atomic_compare_exchange_strong(e->word, &v,
                                        conc_robust_mine() | AWAITED);
}

/* Take the latch, or leave 'note' in it: somebody is going to sleep. */
static bool take_or_mark(struct effort *e, uint32_t note) {
  uint32_t v = atomic_load(e->word), to;
  bool open;
  do {
    open = v == 0 || (v >> CONC_ROBUST_OWNER == 0 && e->slept);
    to = open ? conc_robust_mine() | AWAITED : v | note;
  } while (to != v && !atomic_compare_exchange_weak(e->word, &v, to));
  e->seen = to;
  return open;
}

static uint32_t note_for(const struct effort *e) {
  bool starving = conc_sys_now() - e->since > PATIENCE;
  return starving ? AWAITED | STARVED : AWAITED;
}

/* Take the latch if it was a dead process that held it as 'seen' says. */
static bool take_from_dead(struct effort *e) {
  uint32_t v = e->seen, owner = v >> CONC_ROBUST_OWNER;
  return owner != 0 && !conc_heap_alive(owner) &&
         atomic_compare_exchange_strong(e->word, &v,
                                        conc_robust_mine() | AWAITED);
}

static apr_status_t sleep_on(struct effort *e, conc_parker *self,
                             conc_time deadline) {
  if (!e->slept && take_from_dead(e))
    return CONC_ABANDONED;
  conc_time slice = conc_sys_now() + SLICE;
  bool last = deadline <= slice;
  apr_status_t st =
    conc_word_sleep(e->word, e->seen, self, last ? deadline : slice);
  e->slept = true;
  if (APR_STATUS_IS_TIMEUP(st) && take_from_dead(e))
    return CONC_ABANDONED;
  return APR_STATUS_IS_TIMEUP(st) && !last ? APR_SUCCESS : st;
}

/* For who has no parker to remember what paid. */
static bool look(struct effort *e) {
  for (unsigned i = conc_spin_useful() ? 200 : 0; i > 0; i--) {
    if (take_new(e))
      return true;
    conc_sys_pause();
  }
  return false;
}

/*
 * The latch is free, or so it was: wake one for it.  A STARVED word that nobody
 * sleeps on would keep off those who come, so it does not stay.
 */
static void offer(conc_word *w) {
  if (conc_word_wake(w, false))
    return;
  conc_step();
  uint32_t v = atomic_load(w);
  while (v >> CONC_ROBUST_OWNER == 0 && (v & STARVED) != 0)
    if (atomic_compare_exchange_weak(w, &v, 0)) {
      (void)conc_word_wake(w, false);
      return;
    }
}

/*
 * Who gives up may have been the one that the last release has woken: then the
 * latch is for somebody else, or its new holder has not heard of the others.
 */
static void give_up(conc_word *w) {
  uint32_t v = atomic_load(w);
  while (v >> CONC_ROBUST_OWNER != 0 && (v & AWAITED) == 0)
    if (atomic_compare_exchange_weak(w, &v, v | AWAITED))
      return;
  if (v >> CONC_ROBUST_OWNER == 0)
    offer(w);
}

/* A try meets a latch of the dead as well. */
static apr_status_t try_only(conc_word *w) {
  struct effort e = {.word = w, .seen = atomic_load(w)};
  if (take_from_dead(&e))
    return CONC_ABANDONED;
  return conc_robust_try(w) ? APR_SUCCESS : APR_TIMEUP;
}

static apr_status_t acquire_slowly(struct effort *e, conc_parker *self,
                                   conc_time deadline) {
  while (!take_or_mark(e, note_for(e))) {
    conc_step();
    apr_status_t st = sleep_on(e, self, deadline);
    if (st == CONC_ABANDONED)
      return st;
    if (st != APR_SUCCESS) {
      give_up(e->word);
      return st;
    }
    if (self != NULL && conc_spin(self, take_slept, e))
      break;
  }
  return APR_SUCCESS;
}

static apr_status_t acquire(conc_word *w, conc_parker *self,
                            conc_time deadline) {
  if (deadline == CONC_NOW)
    return try_only(w);
  struct effort e = {.word = w};
  if (self != NULL ? conc_spin(self, take_new, &e) : look(&e))
    return APR_SUCCESS;
  e.since = conc_sys_now();
  return acquire_slowly(&e, self, deadline);
}

apr_status_t conc_robust_acquire(conc_word *w, conc_parker *self,
                                 conc_time deadline) {
  if (conc_robust_try(w))
    return APR_SUCCESS;
  apr_status_t st = acquire(w, self, deadline);
  conc_world_hear();
  return st;
}

apr_status_t conc_robust_enter(conc_word *w, bool slept) {
  struct effort e = {.word = w, .slept = slept};
  apr_status_t st = APR_EAGAIN;
  if (take_or_mark(&e, AWAITED))
    st = APR_SUCCESS;
  else if (take_from_dead(&e))
    st = CONC_ABANDONED;
  if (st != APR_EAGAIN)
    conc_world_hear();
  return st;
}

apr_status_t conc_robust_hand_over(conc_word *w) {
  uint32_t v = atomic_load(w);
  do {
    if (v >> CONC_ROBUST_OWNER == 0)
      return CONC_MISUSE;
  } while (!atomic_compare_exchange_weak(w, &v, v & STARVED));
  conc_step();
  if ((v & (AWAITED | STARVED)) != 0)
    offer(w);
  return APR_SUCCESS;
}
