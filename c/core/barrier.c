/*
 * Every end of a round, good or bad, takes the whole line and counts 'round' up
 * in one critical section, and then tells the threads of that line, and only
 * them, how it ended.  Thus a thread is in the line exactly while its round is
 * the barrier's; the next round may fill while the last one is still waking up;
 * and whoever finds its round over needs only wait for the word.
 *
 * While the action runs the round is full: 'tripper' is its last thread, which
 * is not in the line.  Who comes then waits on 'round' until there is none,
 * also if the barrier was reset meanwhile: two actions never run at once.
 */

#include "core/barrier.h"

#include "base/status.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/* What a turn is told; anything below is a place in the round. */
enum { BROKEN = INT32_MAX };

/*
 * Invariants: without a tripper the line holds 'arrived' < parties threads;
 * with one, it holds parties - 1 and arrived == parties, or the round has been
 * ended under it and both are 0.  A broken barrier has an empty round.
 *   [c] constant after new   [l] guarded by 'lock', a leaf   [a] atomic
 */
struct conc_barrier {
  conc_obj obj;
  uint32_t parties; /* [c] */
  double timeout;   /* [c] */
  conc_msg action;  /* [c] */
  conc_word lock;
  conc_word round;      /* [a] written as [l] */
  uint32_t arrived;     /* [l] */
  uint32_t early;       /* [l] they wait on 'round' */
  conc_parker *tripper; /* [l] */
  bool broken;          /* [l] */
  conc_line line;       /* [l] */
};

/* Life. */

static void destroy(conc_obj *o) {
  conc_msg_fini(&((conc_barrier *)o)->action);
  conc_obj_free(o);
}

const conc_class conc_barrier_class = {"Barrier", destroy};

apr_status_t conc_barrier_new(conc_barrier **out, uint32_t parties,
                              conc_msg *action, double timeout) {
  conc_barrier *b = conc_obj_new(&conc_barrier_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  b->parties = parties;
  b->timeout = timeout;
  b->action = conc_msg_take(action);
  *out = b;
  return APR_SUCCESS;
}

uint32_t conc_barrier_parties(const conc_barrier *b) { return b->parties; }
double conc_barrier_timeout(const conc_barrier *b) { return b->timeout; }
conc_msg *conc_barrier_action(conc_barrier *b) { return &b->action; }

/* Rounds. */

/* What remains to be done without the lock when a round has ended. */
struct ending {
  conc_turn *chain;
  bool early;
};

static struct ending end_round_locked(conc_barrier *b) {
  struct ending e = {.early = b->early != 0};
  e.chain = conc_line_take_locked(&b->line, SIZE_MAX);
  b->arrived = 0;
  atomic_fetch_add(&b->round, 1);
  return e;
}

static struct ending break_locked(conc_barrier *b) {
  b->broken = true;
  return end_round_locked(b);
}

static void tell(conc_barrier *b, struct ending e, uint32_t what,
                 uint32_t step) {
  conc_turn_tell(e.chain, what, step);
  if (e.early)
    conc_wake(&b->round, CONC_ALL);
}

/* Is the round that 'a' is of still the barrier's? */
static bool current_locked(const conc_barrier *b, const conc_arrival *a) {
  return atomic_load(&b->round) == a->round;
}

/* Arriving. */

static void enter_locked(conc_barrier *b, conc_arrival *a, conc_parker *self) {
  *a = (conc_arrival){.round = atomic_load(&b->round)};
  a->place = ++b->arrived;
  a->last = a->place == b->parties;
  if (a->last)
    b->tripper = self;
  else
    conc_line_join_locked(&b->line, &a->turn);
}

/* APR_EAGAIN: the action of the round before 'a->round' ends is running. */
static apr_status_t try_enter_locked(conc_barrier *b, conc_arrival *a,
                                     conc_parker *self) {
  if (b->broken)
    return CONC_BROKEN;
  if (b->tripper == self)
    return CONC_MISUSE;
  if (b->tripper == NULL) {
    enter_locked(b, a, self);
    return APR_SUCCESS;
  }
  b->early++;
  a->round = atomic_load(&b->round);
  return APR_EAGAIN;
}

static apr_status_t await_round(conc_barrier *b, uint32_t seen,
                                conc_parker *self) {
  apr_status_t st = conc_wait(&b->round, seen, self, CONC_FOREVER);
  conc_mutex_lock(&b->lock);
  b->early--;
  conc_mutex_unlock(&b->lock);
  return st == APR_EAGAIN ? APR_SUCCESS : st;
}

apr_status_t conc_barrier_arrive(conc_barrier *b, conc_arrival *a,
                                 conc_parker *self) {
  for (;;) {
    conc_mutex_lock(&b->lock);
    apr_status_t st = try_enter_locked(b, a, self);
    conc_mutex_unlock(&b->lock);
    if (st != APR_EAGAIN)
      return st;
    st = await_round(b, a->round, self);
    if (st != APR_SUCCESS)
      return st;
  }
}

/* Waiting. */

static apr_status_t outcome(conc_arrival *a) {
  a->place = conc_turn_told(&a->turn);
  return a->place == BROKEN ? CONC_BROKEN : APR_SUCCESS;
}

/*
 * The wait of 'a' ended with 'st'.  True: so did its round, which it broke.
 * False: wait on; the round has ended otherwise, or is full and does not mind
 * a deadline.
 */
static bool give_up(conc_barrier *b, conc_arrival *a, apr_status_t st) {
  struct ending e = {0};
  conc_mutex_lock(&b->lock);
  bool ends = current_locked(b, a) && !(st == APR_TIMEUP && b->tripper);
  if (ends) {
    conc_line_leave_locked(&b->line, &a->turn);
    e = break_locked(b);
  }
  conc_mutex_unlock(&b->lock);
  tell(b, e, BROKEN, 0);
  return ends;
}

apr_status_t conc_barrier_await(conc_barrier *b, conc_arrival *a,
                                conc_parker *self, conc_time deadline) {
  apr_status_t st;
  while ((st = conc_turn_wait(&a->turn, self, deadline)) != APR_SUCCESS) {
    if (st == CONC_INTERRUPTED || give_up(b, a, st))
      return st;
    if (st == CONC_CANCELLED)
      conc_turn_settle(&a->turn, self);
    deadline = CONC_FOREVER;
  }
  return outcome(a);
}

apr_status_t conc_barrier_trip(conc_barrier *b, const conc_arrival *a) {
  conc_mutex_lock(&b->lock);
  bool good = current_locked(b, a);
  b->tripper = NULL;
  struct ending e = end_round_locked(b); /* if not good, for the early ones */
  conc_mutex_unlock(&b->lock);
  tell(b, e, 1, 1);
  return good ? APR_SUCCESS : CONC_BROKEN;
}

static void quit_action(conc_barrier *b, const conc_arrival *a) {
  conc_mutex_lock(&b->lock);
  b->broken = b->broken || current_locked(b, a);
  b->tripper = NULL;
  struct ending e = end_round_locked(b);
  conc_mutex_unlock(&b->lock);
  tell(b, e, BROKEN, 0);
}

void conc_barrier_quit(conc_barrier *b, conc_arrival *a, conc_parker *self) {
  if (a->last)
    quit_action(b, a);
  else if (!give_up(b, a, CONC_CANCELLED))
    conc_turn_settle(&a->turn, self);
}

/* For everybody. */

static void end_badly(conc_barrier *b, bool broken) {
  conc_mutex_lock(&b->lock);
  b->broken = broken;
  struct ending e = end_round_locked(b);
  conc_mutex_unlock(&b->lock);
  tell(b, e, BROKEN, 0);
}

void conc_barrier_abort(conc_barrier *b) { end_badly(b, true); }
void conc_barrier_reset(conc_barrier *b) { end_badly(b, false); }

uint32_t conc_barrier_waiting(conc_barrier *b) {
  conc_mutex_lock(&b->lock);
  uint32_t n = b->arrived;
  conc_mutex_unlock(&b->lock);
  return n;
}

bool conc_barrier_broken(conc_barrier *b) {
  conc_mutex_lock(&b->lock);
  bool broken = b->broken;
  conc_mutex_unlock(&b->lock);
  return broken;
}
