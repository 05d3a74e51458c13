#include "core/future.h"

#include "wait/lot.h"
#include "wait/spin.h"

/*
 * The word is a state and a bit.  A waiter sets the bit before it sleeps on
 * the word as it is then; whoever makes the state final does so with one
 * exchange, and wakes if the bit was there.  Until somebody sleeps, the end of
 * a task costs that exchange and nothing else.
 */
enum { WAITED = 0x100, STATE = 0xff };

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

static void destroy(conc_obj *o) {
  conc_future *f = (conc_future *)o;
  conc_row *row = f->row;
  conc_msg_fini(&f->result);
  if (row == NULL) {
    conc_obj_free(o);
  } else {
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
  f->row = r;
  conc_retain(&r->obj);
  return f;
}

void conc_row_drop(conc_row *r) {
  uint32_t given = r->given;
  r->given = PER_ROW;
  for (uint32_t i = 0; i < given; i++)
    conc_release(&r->places[i].future.obj);
}

conc_future_state conc_future_is(const conc_future *f) {
  /* Acquire: pairs with the exchange of who ended it; the result is ours. */
  return (
    conc_future_state)(atomic_load_explicit(&f->word, memory_order_acquire) &
                       STATE);
}

/* Change the state from one to another, keeping the bit. */
static bool change(conc_future *f, conc_future_state from,
                   conc_future_state to) {
  uint32_t v = atomic_load(&f->word);
  while ((v & STATE) == from)
    if (atomic_compare_exchange_weak(&f->word, &v, (v & WAITED) | to))
      return true;
  return false;
}

bool conc_future_start(conc_future *f) {
  return change(f, CONC_FUTURE_PENDING, CONC_FUTURE_RUNNING);
}

static void end(conc_future *f, conc_future_state state) {
  if (atomic_exchange(&f->word, state) & WAITED)
    conc_wake(&f->word, CONC_ALL);
}

void conc_future_finish(conc_future *f, conc_future_state state,
                        conc_msg *result) {
  f->result = conc_msg_take(result);
  end(f, state);
}

bool conc_future_cancel(conc_future *f) {
  if (change(f, CONC_FUTURE_PENDING, CONC_FUTURE_CANCELLED)) {
    end(f, CONC_FUTURE_CANCELLED);
    return true;
  }
  return conc_future_is(f) == CONC_FUTURE_CANCELLED;
}

bool conc_future_prepare(conc_future *f, uint32_t *expected) {
  uint32_t v = atomic_load(&f->word);
  while ((v & STATE) < CONC_FUTURE_CANCELLED)
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
