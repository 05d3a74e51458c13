/*
 * The argument is that of core/barrier.c, and of what it does in one critical
 * section the decision is one step here: a round ends when 'round' goes up and
 * 'ending' says how.  Then everybody in the line is told, one step each, and
 * 'ending' is cleared.  Whoever comes to the lock and finds 'ending' set goes
 * on with the telling: its predecessor has died.
 *
 * A waiter that dies in line is lost when it is buried, a thread that dies in
 * the action is missed by those who wait and look: both break the barrier.
 */

#include "ipc/sbarrier.h"

#include <string.h>

#include "ipc/word.h"

/* How a round ended; what a turn is told, where anything else is its place. */
enum { GOOD = 1, BROKEN = INT32_MAX };

/* How long to rely on whoever runs the action. */
static const int64_t SLICE = 200000000;

/*
 * The object.  Invariants as in core/barrier.c.
 *   [c] constant once published   [l] under the line's txn
 */
typedef struct word {
  conc_sline line;
  conc_ref parties; /* [c] */
  conc_ref timeout; /* [c] a double */
  conc_ref action;  /* [c] a place */
  conc_ref round;   /* [l] also read without */
  conc_ref ending;  /* [l] 0, GOOD or BROKEN */
  conc_ref arrived; /* [l] */
  conc_ref tripper; /* [l] member << 32 | thread, or 0 */
  conc_ref broken;  /* [l] */
  conc_sgate moved; /* who waits for the next round */
} word;

struct conc_sbarrier {
  conc_proxy proxy;
};

static word *word_of(const conc_sbarrier *b) { return b->proxy.at; }

/* ---- Life ---- */

static apr_status_t open_barrier(conc_proxy *p) {
  const word *w = p->at;
  uint64_t n = atomic_load(&w->parties);
  return n > 0 && n < BROKEN ? APR_SUCCESS : CONC_CORRUPT;
}

static void destroy(void *object) {
  conc_shared_drop(&((word *)object)->action);
}

const conc_shared_class conc_sbarrier_class = {
  .cls = {"Barrier", conc_proxy_destroy},
  .id = CONC_SHARED_BARRIER,
  .size = sizeof(conc_sbarrier),
  .least = sizeof(word),
  .open = open_barrier,
  .destroy = destroy};

apr_status_t conc_sbarrier_new(conc_sbarrier **out, uint32_t parties,
                               double timeout) {
  conc_proxy *p;
  uint64_t bits;
  apr_status_t st = conc_shared_new(&p, &conc_sbarrier_class, sizeof(word));
  if (st != APR_SUCCESS)
    return st;
  word *w = p->at;
  memcpy(&bits, &timeout, sizeof bits);
  atomic_store(&w->parties, parties);
  atomic_store(&w->timeout, bits);
  conc_shared_publish(p);
  *out = (conc_sbarrier *)p;
  return APR_SUCCESS;
}

uint32_t conc_sbarrier_parties(const conc_sbarrier *b) {
  return (uint32_t)atomic_load(&word_of(b)->parties);
}

double conc_sbarrier_timeout(const conc_sbarrier *b) {
  uint64_t bits = atomic_load(&word_of(b)->timeout);
  double timeout;
  memcpy(&timeout, &bits, sizeof timeout);
  return timeout;
}

conc_ref *conc_sbarrier_action(conc_sbarrier *b) { return &word_of(b)->action; }

/* ---- Rounds ---- */

static void set(word *w, conc_ref *what, uint64_t value) {
  conc_txn_write(&w->line.txn, what, value);
}

static void tell_all(word *w) {
  uint64_t how = atomic_load(&w->ending);
  conc_sturn *t;
  while ((t = conc_sline_first(&w->line)) != NULL)
    conc_sline_tell(&w->line, t,
                    how == GOOD ? atomic_load(&t->note) : (uint64_t)BROKEN);
  set(w, &w->ending, 0);
  conc_txn_step(&w->line.txn);
}

static void lock(word *w) {
  conc_txn_begin(&w->line.txn);
  if (atomic_load(&w->ending) != 0)
    tell_all(w);
}

static void unlock(word *w) { conc_txn_abort(&w->line.txn); }

/* With what was noted before, and leave the lock. */
static void end_round(word *w, uint64_t how) {
  set(w, &w->ending, how);
  set(w, &w->round, atomic_load(&w->round) + 1);
  set(w, &w->arrived, 0);
  conc_txn_step(&w->line.txn);
  tell_all(w);
  unlock(w);
  conc_sgate_notify_all(&w->moved);
}

static void break_it(word *w) {
  set(w, &w->broken, 1);
  end_round(w, BROKEN);
}

void conc_sbarrier_lose(conc_sline *line, conc_sturn *t) {
  word *w = (word *)line;
  if (atomic_load(&w->ending) != 0)
    tell_all(w);
  if (atomic_load(&t->inside) == 0) {
    unlock(w);
    return;
  }
  conc_sline_leave(line, t);
  break_it(w);
}

/* Does somebody run the action who is dead?  Under the lock. */
static bool forsaken(const word *w) {
  uint64_t tripper = atomic_load(&w->tripper);
  return tripper != 0 && !conc_heap_alive(conc_heap_member_of(tripper));
}

static void mourn(word *w) {
  lock(w);
  if (forsaken(w)) {
    set(w, &w->tripper, 0);
    break_it(w);
  } else {
    unlock(w);
  }
}

/* ---- Arriving ---- */

static uint64_t name_of(const conc_parker *self) {
  return conc_heap_name(self->life);
}

/* Under the lock, which it leaves. */
static void enter(word *w, conc_sarrival *a, const conc_parker *self) {
  a->round = atomic_load(&w->round);
  a->place = (uint32_t)atomic_load(&w->arrived) + 1;
  a->last = a->place == atomic_load(&w->parties);
  set(w, &w->arrived, a->place);
  if (a->last) {
    set(w, &w->tripper, name_of(self));
  } else {
    conc_sturn *t = conc_sturn_at(a->turn);
    conc_sline_join(&w->line, t);
    set(w, &t->note, a->place);
  }
  conc_txn_commit(&w->line.txn);
}

/* APR_EAGAIN: the action of the round before 'a->round' ends is running. */
static apr_status_t try_enter(word *w, conc_sarrival *a,
                              const conc_parker *self) {
  apr_status_t st = APR_EAGAIN;
  lock(w);
  uint64_t tripper = atomic_load(&w->tripper);
  a->round = atomic_load(&w->round);
  if (atomic_load(&w->broken) != 0) {
    st = CONC_BROKEN;
  } else if (tripper == name_of(self)) {
    st = CONC_MISUSE;
  } else if (tripper == 0) {
    enter(w, a, self);
    return APR_SUCCESS;
  }
  unlock(w);
  return st;
}

struct next {
  const word *w;
  uint64_t round;
};

static bool has_moved(const void *arg) {
  const struct next *n = arg;
  return atomic_load(&n->w->round) != n->round ||
         atomic_load(&n->w->tripper) == 0;
}

static apr_status_t await_round(word *w, uint64_t seen, conc_parker *self) {
  struct next n = {w, seen};
  apr_status_t st =
    conc_sgate_await(&w->moved, has_moved, &n, self, conc_sys_now() + SLICE);
  if (!APR_STATUS_IS_TIMEUP(st))
    return st;
  mourn(w);
  return APR_SUCCESS;
}

static void done(conc_sarrival *a) {
  if (a->turn != NULL)
    conc_sturn_free(a->turn);
  a->turn = NULL;
}

apr_status_t conc_sbarrier_arrive(conc_sbarrier *b, conc_sarrival *a,
                                  conc_parker *self) {
  word *w = word_of(b);
  *a = (conc_sarrival){0};
  apr_status_t st = conc_sturn_new(&a->turn, &b->proxy);
  if (st != APR_SUCCESS)
    return st;
  while ((st = try_enter(w, a, self)) == APR_EAGAIN) {
    st = await_round(w, a->round, self);
    if (st != APR_SUCCESS)
      break;
  }
  if (st != APR_SUCCESS || a->last)
    done(a);
  return st;
}

/* ---- Waiting ---- */

static apr_status_t outcome(conc_sarrival *a) {
  uint64_t told = conc_sturn_told(conc_sturn_at(a->turn));
  done(a);
  return told == BROKEN ? CONC_BROKEN : APR_SUCCESS;
}

/*
 * The wait of 'a' ended with 'st'.  True: so did its round, which it broke.
 * False: wait on; the round has ended otherwise, or is full and does not mind
 * a deadline.
 */
static bool give_up(word *w, conc_sarrival *a, apr_status_t st) {
  conc_sturn *t = conc_sturn_at(a->turn);
  lock(w);
  if (atomic_load(&t->inside) == 0 ||
      (APR_STATUS_IS_TIMEUP(st) && atomic_load(&w->tripper) != 0)) {
    unlock(w);
    return false;
  }
  conc_sline_leave(&w->line, t);
  break_it(w);
  done(a);
  return true;
}

/* In slices, so that a death in the action is noticed. */
static apr_status_t wait_slice(word *w, conc_sarrival *a, conc_parker *self,
                               conc_time deadline) {
  conc_time until = conc_sys_now() + SLICE;
  bool last = deadline <= until;
  apr_status_t st =
    conc_sturn_wait(conc_sturn_at(a->turn), self, last ? deadline : until);
  if (!APR_STATUS_IS_TIMEUP(st) || last)
    return st;
  conc_heap_bury();
  if (atomic_load(&w->tripper) != 0)
    mourn(w);
  return APR_EAGAIN;
}

apr_status_t conc_sbarrier_await(conc_sbarrier *b, conc_sarrival *a,
                                 conc_parker *self, conc_time deadline) {
  word *w = word_of(b);
  apr_status_t st;
  while ((st = wait_slice(w, a, self, deadline)) != APR_SUCCESS) {
    if (st == APR_EAGAIN)
      continue;
    if (st == CONC_INTERRUPTED || give_up(w, a, st))
      return st;
    if (st == CONC_CANCELLED && conc_sturn_told(conc_sturn_at(a->turn)) != 0)
      break;
    deadline = CONC_FOREVER;
  }
  return outcome(a);
}

apr_status_t conc_sbarrier_trip(conc_sbarrier *b, conc_sarrival *a) {
  word *w = word_of(b);
  lock(w);
  bool good = atomic_load(&w->round) == a->round;
  set(w, &w->tripper, 0);
  end_round(w, GOOD); /* if not good, for the early ones */
  return good ? APR_SUCCESS : CONC_BROKEN;
}

void conc_sbarrier_quit(conc_sbarrier *b, conc_sarrival *a) {
  word *w = word_of(b);
  if (!a->last) {
    (void)give_up(w, a, CONC_CANCELLED);
    done(a);
    return;
  }
  lock(w);
  if (atomic_load(&w->round) == a->round)
    set(w, &w->broken, 1);
  set(w, &w->tripper, 0);
  end_round(w, BROKEN);
}

/* ---- For everybody ---- */

static void end_badly(conc_sbarrier *b, uint64_t broken) {
  word *w = word_of(b);
  lock(w);
  set(w, &w->broken, broken);
  if (forsaken(w))
    set(w, &w->tripper, 0);
  end_round(w, BROKEN);
}

void conc_sbarrier_abort(conc_sbarrier *b) { end_badly(b, 1); }
void conc_sbarrier_reset(conc_sbarrier *b) { end_badly(b, 0); }

uint32_t conc_sbarrier_waiting(conc_sbarrier *b) {
  return (uint32_t)atomic_load(&word_of(b)->arrived);
}

bool conc_sbarrier_broken(conc_sbarrier *b) {
  return atomic_load(&word_of(b)->broken) != 0;
}
