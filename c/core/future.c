/*
 * The word is a state and bits.  A waiter sets WAITED before it sleeps on the
 * word as it is then; who links something sets LINKED; who asks sets its bit.
 * Whoever makes the state final does so with one exchange, and looks at the
 * bits that were there.  Until somebody cares, the end of a task costs that
 * exchange and nothing else.
 *
 * Links are lists under one of a few locks, the shelf, chosen by address.
 * LINKED is set under the lock while the state is not final, so the ender
 * either made the state final before (no link is taken) or finds the bit, and
 * comes for the list when it gets the lock.
 *
 * An ask and the end of the task: the asker sets its bit and calls the runner
 * under the shelf's lock; an ender that finds the bit passes that lock before
 * it returns, so the runner is not called afterwards.  An ask and the start:
 * the starter stores its runner after it has changed the state and then looks
 * for bits; the asker sets its bit and then looks for the runner; one of them
 * sees the other (seq_cst), and if both do the runner is called twice.
 *
 * spec/models/future.pml is this in Promela.
 */

#include "core/future.h"

#include "wait/lot.h"
#include "wait/mutex.h"
#include "wait/spin.h"

enum {
  STATE = 0xff,
  WAITED = 0x100,   /* somebody sleeps on the word */
  LINKED = 0x200,   /* the list of links is not empty */
  CLAIMED = 0x1000, /* somebody will end it who did not start it */
  EARLY = 0x8000,   /* it was cancelled before it had started */
  LOOKED = 0x2000,  /* somebody saw the error */
  ASKED = CONC_ASK_CANCEL | CONC_ASK_LATE
};

_Atomic(conc_forgotten) conc_future_forgotten;

/* ---- The shelf ---- */

enum { SHELVES = 64 };

static struct {
  conc_word lock;
  char line[CONC_LINE - sizeof(conc_word)];
} shelf[SHELVES];

static conc_word *lock_of(const conc_future *f) {
  uintptr_t a = (uintptr_t)f;
  return &shelf[(a >> 7 ^ a >> 13) % SHELVES].lock;
}

/* ---- Life ---- */

/*
 * Futures of a row are written by different threads at the same time, so each
 * has lines of its own.
 *   [o] of who gives them out   [c] constant after new
 */
enum { PER_ROW = 16 };

struct conc_row {
  conc_obj obj;
  uint32_t given; /* [o] */
  union {
    conc_future future;
    char lines[2 * CONC_LINE];
  } places[PER_ROW]; /* the first 'given' are alive, or were */
};

static conc_row *row_of(conc_future *f) {
  size_t before = offsetof(conc_row, places) +
                  (size_t)(f->place - 1) * sizeof(((conc_row *)0)->places[0]);
  return (conc_row *)(void *)((char *)f - before);
}

static void destroy(conc_obj *o) {
  conc_future *f = (conc_future *)o;
  /* Relaxed: the last reference was passed on by an acq_rel count. */
  uint32_t v = atomic_load_explicit(&f->word, memory_order_relaxed);
  if ((v & STATE) == CONC_FUTURE_FAILED && (v & LOOKED) == 0 && !f->quiet &&
      atomic_load(&conc_future_forgotten) != NULL)
    atomic_load (&conc_future_forgotten)(&f->msg);
  conc_msg_fini(&f->msg);
  if (f->place == 0) {
    conc_obj_free(o);
  } else {
    conc_row *row = row_of(f);
    conc_obj_fini(o);
    conc_release(&row->obj);
  }
}

const conc_class conc_future_class = {"Future", destroy};

apr_status_t conc_future_new(conc_future **out) {
  conc_future *f = conc_obj_new(&conc_future_class, sizeof *f);
  if (f == NULL)
    return APR_ENOMEM;
  *out = f;
  return APR_SUCCESS;
}

static void destroy_row(conc_obj *o) { conc_obj_free(o); }

const conc_class conc_row_class = {"row of futures", destroy_row};

apr_status_t conc_row_new(conc_row **out) {
  conc_row *r = conc_obj_new(&conc_row_class, sizeof *r);
  if (r == NULL)
    return APR_ENOMEM;
  *out = r;
  return APR_SUCCESS;
}

conc_future *conc_row_next(conc_row *r) {
  if (r->given == PER_ROW)
    return NULL;
  conc_future *f = &r->places[r->given++].future;
  conc_obj_init(&f->obj, &conc_future_class);
  f->place = (uint8_t)r->given;
  conc_retain(&r->obj);
  return f;
}

void conc_row_drop(conc_row *r) {
  uint32_t given = r->given;
  r->given = PER_ROW;
  for (uint32_t i = 0; i < given; i++)
    conc_release(&r->places[i].future.obj);
}

/* ---- States ---- */

conc_future_state conc_future_is(const conc_future *f) {
  /* Acquire: pairs with the exchange of who ended it; the message is ours. */
  uint32_t v = atomic_load_explicit(&f->word, memory_order_acquire);
  return (conc_future_state)(v & STATE);
}

static bool final(uint32_t v) { return (v & STATE) >= CONC_FUTURE_CANCELLED; }

/*
 * It is no longer pending.  Its home is there: it goes only after it has taken
 * all that is queued there and made each leave (conc_future_leave_home).  Who
 * finds it in the list before we are here tells for us: once is enough.
 */
static void tell_home(conc_future *f, bool cancelled) {
  conc_mutex_lock(lock_of(f));
  conc_home *home = f->home;
  if (home != NULL)
    home->left(home, cancelled);
  f->home = NULL;
  conc_mutex_unlock(lock_of(f));
}

void conc_future_leave_home(conc_future *f) {
  conc_mutex_lock(lock_of(f));
  conc_home *home = f->home;
  bool cancelled = (atomic_load(&f->word) & EARLY) != 0;
  if (home != NULL && (cancelled || f->bounded))
    home->left(home, cancelled);
  f->home = NULL;
  conc_mutex_unlock(lock_of(f));
}

bool conc_future_start(conc_future *f, conc_runner *r) {
  uint32_t v = atomic_load(&f->word);
  do {
    if ((v & STATE) != CONC_FUTURE_PENDING || (v & CLAIMED) != 0)
      return false;
  } while (
    !atomic_compare_exchange_weak(&f->word, &v, v | CONC_FUTURE_RUNNING));
  if (r != NULL) {
    atomic_store(&f->runner, r);
    if ((atomic_load(&f->word) & ASKED) != 0)
      r->interrupt(r);
  }
  if (f->bounded)
    tell_home(f, false);
  return true;
}

/* The runner goes last: while it is there, nobody claims the future.  Who asks
   afterwards finds it pending. */
bool conc_future_unstart(conc_future *f) {
  uint32_t v = atomic_load(&f->word);
  do {
    if ((v & ASKED) != 0)
      return false;
  } while (!atomic_compare_exchange_weak(
    &f->word, &v, (v & ~(uint32_t)STATE) | CONC_FUTURE_PENDING));
  atomic_store(&f->runner, NULL);
  return true;
}

bool conc_future_claim(conc_future *f) {
  uint32_t v = atomic_load(&f->word);
  do {
    if (final(v) || (v & CLAIMED) != 0 || atomic_load(&f->runner) != NULL)
      return false;
  } while (!atomic_compare_exchange_weak(&f->word, &v, v | CLAIMED));
  return true;
}

/* ---- The end ---- */

/* Take the list, then call it: a link may go as soon as it has run. */
static void run_links(conc_future *f) {
  conc_mutex_lock(lock_of(f));
  conc_link *first = f->links;
  f->links = NULL;
  if (first != NULL)
    first->prev->next = NULL;
  for (conc_link *l = first; l != NULL; l = l->next)
    l->linked = false;
  conc_mutex_unlock(lock_of(f));
  while (first != NULL) {
    conc_link *next = first->next;
    first->run(first);
    first = next;
  }
}

/* The state is final now and 'v' was the word before. */
static void ended(conc_future *f, uint32_t v) {
  if ((v & ASKED) != 0) {
    conc_mutex_lock(lock_of(f)); /* an asker is done with the runner */
    conc_mutex_unlock(lock_of(f));
  }
  if ((v & LINKED) != 0)
    run_links(f);
  if ((v & WAITED) != 0)
    conc_wake(&f->word, CONC_ALL);
}

unsigned conc_future_finish(conc_future *f, conc_future_state end,
                            conc_msg *result) {
  f->msg = conc_msg_take(result);
  uint32_t v = atomic_exchange(&f->word, end);
  ended(f, v);
  return v & ASKED;
}

bool conc_future_cancel(conc_future *f) {
  uint32_t v = atomic_load(&f->word);
  do {
    if ((v & STATE) != CONC_FUTURE_PENDING || (v & CLAIMED) != 0)
      return (v & STATE) == CONC_FUTURE_CANCELLED;
  } while (
    !atomic_compare_exchange_weak(&f->word, &v, CONC_FUTURE_CANCELLED | EARLY));
  conc_msg task = conc_msg_take(&f->msg);
  tell_home(f, true);
  ended(f, v);
  conc_msg_fini(&task);
  return true;
}

/* One of an executor has a runner, or will have it at once. */
static bool has_runner(const conc_future *f) {
  return f->home != NULL || atomic_load(&f->runner) != NULL;
}

bool conc_future_ask(conc_future *f, conc_ask what) {
  bool taken = false;
  conc_mutex_lock(lock_of(f));
  uint32_t v = atomic_load(&f->word);
  while ((v & STATE) == CONC_FUTURE_RUNNING && has_runner(f) && !taken)
    taken = atomic_compare_exchange_weak(&f->word, &v, v | (uint32_t)what);
  conc_runner *r =
    taken && what != CONC_ASK_LEAVE ? atomic_load(&f->runner) : NULL;
  if (r != NULL)
    r->interrupt(r);
  conc_mutex_unlock(lock_of(f));
  return taken;
}

/*
 * It may end, be given back or start again between the two questions: those are
 * asked anew unless it is of the states in which both say no for good.
 */
bool conc_future_stop(conc_future *f, conc_ask what) {
  uint32_t v;
  do {
    if (conc_future_cancel(f) || conc_future_ask(f, what))
      return true;
    v = atomic_load(&f->word);
  } while ((v & CLAIMED) == 0 &&
           ((v & STATE) == CONC_FUTURE_PENDING ||
            (v & STATE) == CONC_FUTURE_CANCELLED ||
            ((v & STATE) == CONC_FUTURE_RUNNING && has_runner(f))));
  return false;
}

unsigned conc_future_asked(const conc_future *f) {
  return atomic_load(&f->word) & (ASKED | CONC_ASK_LEAVE);
}

void conc_future_look(conc_future *f) { atomic_fetch_or(&f->word, LOOKED); }

/* ---- Links ---- */

bool conc_future_link(conc_future *f, conc_link *l) {
  bool put = false;
  conc_mutex_lock(lock_of(f));
  uint32_t v = atomic_load(&f->word);
  while (!final(v) && !put)
    put = atomic_compare_exchange_weak(&f->word, &v, v | LINKED);
  if (put && f->links == NULL) {
    l->prev = l->next = f->links = l;
  } else if (put) {
    l->next = f->links;
    l->prev = f->links->prev;
    l->prev->next = f->links->prev = l;
  }
  l->linked = put;
  conc_mutex_unlock(lock_of(f));
  return put;
}

bool conc_future_unlink(conc_future *f, conc_link *l) {
  conc_mutex_lock(lock_of(f));
  bool ours = l->linked;
  if (ours) {
    l->linked = false;
    if (f->links == l)
      f->links = l->next == l ? NULL : l->next;
    l->prev->next = l->next;
    l->next->prev = l->prev;
  }
  conc_mutex_unlock(lock_of(f));
  return ours;
}

/* ---- Waiting ---- */

bool conc_future_prepare(conc_future *f, uint32_t *expected) {
  uint32_t v = atomic_load(&f->word);
  while (!final(v))
    if (atomic_compare_exchange_weak(&f->word, &v, v | WAITED)) {
      *expected = v | WAITED;
      return true;
    }
  return false;
}

static bool is_done(const void *arg) { return conc_future_done(arg); }

apr_status_t conc_future_wait(conc_future *f, conc_parker *self,
                              conc_time deadline) {
  uint32_t v;
  if (conc_future_done(f))
    return APR_SUCCESS;
  if (deadline == CONC_NOW)
    return APR_TIMEUP;
  if (conc_spin(self, is_done, f))
    return APR_SUCCESS;
  while (conc_future_prepare(f, &v)) {
    conc_waiter one = {.word = &f->word, .expected = v};
    size_t which;
    apr_status_t st = conc_wait_any(&one, 1, &which, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}
