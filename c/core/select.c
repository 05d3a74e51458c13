/*
 * The protocol: try all; enter all, each of which tries once more after it has
 * announced itself; sleep on all words at once; leave all; begin again.
 *
 * No wake-up is lost to this thread: a change after 'enter' has tried either is
 * seen by conc_wait_any as a changed word, or wakes it.
 *
 * None is lost to others: a wake is spent on a waiter, at most one of all that
 * wait for this select ('claim' in lot.c).  That case is 'chosen'.  If it is
 * then taken, its class does what a single wait does after it.  If not, because
 * another case was ready too, or the wait is over, or it ends with an error,
 * 'decline' hands the wake on to the next.  If it cannot be taken, since
 * somebody was faster, the wake was not this thread's any more.
 *
 * The order of others: a select stands in each queue of waiters from the moment
 * it goes to sleep, like anybody else.
 *
 * spec/models/select.pml is this file in Promela.
 */

#include "core/select.h"

#include "base/status.h"
#include "wait/spin.h"

/* Which of n?  Marsaglia's xorshift, seeded by whose it is. */
static size_t roll(conc_parker *self, size_t n) {
  uint32_t x = self->dice;
  if (x == 0)
    x = (uint32_t)((uintptr_t)self >> 4) | 1;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  self->dice = x;
  return x % n;
}

static bool any_ready(const void *arg) {
  const conc_selection *s = arg;
  for (size_t i = 0; i < s->n; i++)
    if (s->cases[i].cls->ready(&s->cases[i]))
      return true;
  return false;
}

static size_t note_ready(conc_selection *s) {
  size_t hot = 0;
  for (size_t i = 0; i < s->n; i++) {
    conc_case *c = &s->cases[i];
    c->hot = c->cls->ready(c);
    hot += c->hot;
  }
  return hot;
}

static size_t find_hot(const conc_selection *s, size_t k) {
  size_t i = 0;
  while (!s->cases[i].hot || k-- > 0)
    i++;
  return i;
}

/* Take one of those that are ready, each with the same chance. */
static apr_status_t take_one(conc_selection *s, conc_parker *self) {
  for (size_t hot = note_ready(s); hot > 0; hot--) {
    s->which = find_hot(s, hot == 1 ? 0 : roll(self, hot));
    conc_case *c = &s->cases[s->which];
    apr_status_t st = c->cls->take(c, self);
    if (st != APR_EAGAIN)
      return st;
    c->hot = false;
  }
  return APR_EAGAIN;
}

static conc_time first_due(const conc_selection *s, conc_time deadline) {
  for (size_t i = 0; i < s->n; i++)
    if (s->cases[i].due < deadline)
      deadline = s->cases[i].due;
  return deadline;
}

/* For the watcher of deadlocks, see deadlock.h. */
static bool any_abroad(const conc_selection *s) {
  for (size_t i = 0; i < s->n; i++)
    if (s->cases[i].abroad)
      return true;
  return false;
}

/* Leave the first n; 'chosen' is the index of the one that a wake chose. */
static void leave(conc_selection *s, size_t n, size_t chosen) {
  for (size_t i = 0; i < n; i++) {
    s->cases[i].chosen = i == chosen;
    s->cases[i].cls->leave(&s->cases[i]);
  }
}

/*
 * Sleep until something may have changed: APR_EAGAIN.  Otherwise it is over:
 * 'which' < n: that case was taken, or has failed; n: none.
 */
static apr_status_t doze(conc_selection *s, conc_parker *self,
                         conc_time deadline) {
  apr_status_t st = APR_EAGAIN;
  size_t chosen = s->n;
  for (size_t i = 0; i < s->n; i++) {
    st = s->cases[i].cls->enter(&s->cases[i], &s->waiters[i], self);
    if (st == APR_EAGAIN)
      continue;
    leave(s, i, s->n);
    s->which = i;
    return st;
  }
  s->which = s->n;
  self->abroad = any_abroad(s);
  st = conc_wait_any(s->waiters, s->n, &chosen, self, first_due(s, deadline));
  self->abroad = false;
  leave(s, s->n, st == APR_SUCCESS ? chosen : s->n);
  return st == APR_SUCCESS || APR_STATUS_IS_TIMEUP(st) ? APR_EAGAIN : st;
}

static apr_status_t end(conc_selection *s, apr_status_t st) {
  for (size_t i = 0; i < s->n; i++) {
    conc_case *c = &s->cases[i];
    if (c->chosen && i != s->which)
      c->cls->decline(c);
    c->chosen = false;
  }
  return st;
}

static bool passed(conc_time deadline) {
  return deadline != CONC_FOREVER && conc_sys_now() >= deadline;
}

static apr_status_t sleep_only(conc_parker *self, conc_time deadline) {
  conc_word never = 0;
  conc_waiter one = {.word = &never};
  size_t which;
  return conc_wait_any(&one, 1, &which, self, deadline);
}

apr_status_t conc_select(conc_selection *s, conc_parker *self,
                         conc_time deadline) {
  if (s->n == 0)
    return sleep_only(self, deadline);
  apr_status_t st = take_one(s, self);
  if (st != APR_EAGAIN)
    return st;
  if (deadline == CONC_NOW)
    return APR_TIMEUP;
  if (conc_spin(self, any_ready, s) && (st = take_one(s, self)) != APR_EAGAIN)
    return st;
  for (;;) {
    st = doze(s, self, deadline);
    if (st == APR_EAGAIN)
      st = take_one(s, self);
    if (st != APR_EAGAIN)
      return end(s, st);
    s->which = s->n;
    if (passed(deadline))
      return end(s, APR_TIMEUP);
  }
}
