/*
 * Why there is no false alarm.  The watcher notes of each thread the number of
 * its wait, all of them endless, while it holds the root's lock; call the end
 * of that moment T.  Then it puts a question to each, and each that is still in
 * a wait answers that no waker has chosen it (vouch in lot.c).  When all have
 * answered, their waits still have the numbers that were noted, and there are
 * still as many threads.
 *
 *  - A thread that answered in the wait that was noted was in that wait at T,
 *    and no waker had chosen it at T either: it had entered the wait before,
 *    and had not been chosen when it answered, later.
 *  - So at T no thread of the family was running.  One that was about to start
 *    is in the list without a parker; one that was about to end, and out of the
 *    list but not yet done waking others, is counted as 'outside'; both make it
 *    silent.  Threads that were new or gone after T would have to be made, or
 *    run, by one of the family.
 *  - From T on a wait can only be ended by something outside the family.
 *
 * And there is nothing outside: threads that conc does not know (of a host, of
 * other libraries) have no way to an object of the family but through a Lua
 * state, and that is one of the family's, which waits, or one of another root.
 * A root that comes after T shares nothing with this one but what lies in
 * shared memory, and who waits there is silent, as is who waits for a handle
 * (also in a select, beside other things).
 *
 * Nothing of this depends on how long something takes.  That it looks
 * for a while before it asks is only to leave programs alone that are merely
 * quiet, and those that somebody is about to end.
 *
 * The verdict names the number of a wait.  All are told before the first one
 * wakes up, and wakers pass over them from then on, so that all of them end in
 * the same way, and not some by what the error of another one has set free.
 */

#include "core/deadlock.h"

#include <stdio.h>

#include "base/mem.h"
#include "core/root.h"
#include "wait/mutex.h"

static conc_word outside; /* one for each root, and others */

void conc_outside(int change) { atomic_fetch_add(&outside, (uint32_t)change); }

static uint64_t kind_of(uint64_t wait) { return wait & CONC_WAIT_KIND; }

/* ---- Looking ---- */

struct survey {
  size_t n;     /* threads met */
  size_t bound; /* of them in an endless wait, not for work */
  bool same;    /* all are in the wait that was noted before */
  bool vouched; /* all have answered */
  uint64_t round;
};

/* False: this one does not wait, or not for ever. */
static bool note(conc_thread *t, void *arg) {
  struct survey *s = arg;
  conc_parker *p = t->parker;
  if (p == NULL)
    return false;
  uint64_t wait = atomic_load(&p->wait);
  if (kind_of(wait) != CONC_WAIT_ENDLESS && kind_of(wait) != CONC_WAIT_IDLE)
    return false;
  s->n++;
  s->bound += kind_of(wait) == CONC_WAIT_ENDLESS;
  s->same = s->same && wait == p->noted;
  p->noted = wait;
  return true;
}

/* A thread reads 'look' before 'asked': once it has vouched, 'about' is there. */
static bool ask(conc_thread *t, void *arg) {
  const struct survey *s = arg;
  conc_parker *p = t->parker;
  if (p == NULL)
    return false;
  atomic_fetch_or(&p->asked, CONC_ASKED_ABOUT);
  atomic_store(&p->look, s->round);
  p->cls->unpark(p);
  return true;
}

static bool check(conc_thread *t, void *arg) {
  struct survey *s = arg;
  conc_parker *p = t->parker;
  if (p == NULL)
    return false;
  /* The answer before the wait: the one was given in the other. */
  s->vouched = s->vouched && atomic_load(&p->vouched) == s->round;
  if (atomic_load(&p->wait) != p->noted)
    return false;
  s->n++;
  return true;
}

/* ---- The verdict ---- */

struct sentence {
  char *text;
  size_t size, used;
};

static bool describe(conc_thread *t, void *arg) {
  struct sentence *s = arg;
  const conc_parker *p = t->parker;
  if (p == NULL || s->used >= s->size)
    return true;
  char name[64];
  conc_thread_name(t, name, sizeof name);
  int n =
    snprintf(s->text + s->used, s->size - s->used, "\n\t%s %s", name, p->about);
  s->used += n < 0 ? 0 : (size_t)n;
  return true;
}

static bool doom(conc_thread *t, void *arg) {
  conc_parker *p = t->parker;
  (void)arg;
  if (p != NULL && kind_of(p->noted) == CONC_WAIT_ENDLESS)
    atomic_store(&p->doomed, p->noted);
  return true;
}

static bool rouse(conc_thread *t, void *arg) {
  (void)arg;
  if (t->parker != NULL)
    t->parker->cls->unpark(t->parker);
  return true;
}

static void keep(conc_detector *w, char *text) {
  conc_mutex_lock(&w->lock);
  char *old = w->text;
  w->text = text;
  conc_mutex_unlock(&w->lock);
  conc_free(old);
}

static void pronounce(conc_root *r, conc_detector *w) {
  enum { PER_THREAD = CONC_ABOUT + 64, MOST = 100 };
  struct sentence s = {.size = (w->n < MOST ? w->n : MOST) * PER_THREAD};
  s.text = conc_alloc(s.size);
  if (s.text != NULL) {
    s.text[0] = '\0';
    (void)conc_root_visit(r, describe, &s);
  }
  keep(w, s.text);
  (void)conc_root_visit(r, doom, NULL);
  (void)conc_root_visit(r, rouse, NULL);
}

/* ---- The watcher ---- */

/* Note all, and ask if they have been like this for long enough. */
static void begin(conc_root *r, conc_detector *w) {
  static _Atomic uint64_t rounds;
  struct survey s = {.same = true};
  bool all = conc_root_visit(r, note, &s);
  bool again = all && s.same && s.n == w->n;
  w->n = s.n;
  if (!again)
    w->since = conc_sys_now();
  if (!again || conc_sys_now() - w->since < atomic_load(&w->patience) ||
      s.bound == 0 || atomic_load(&outside) != 1 || conc_sys_handles_signals())
    return;
  w->round = s.round = atomic_fetch_add(&rounds, 1) + 1;
  w->looking = conc_root_visit(r, ask, &s);
}

/* Have all answered? */
static void end(conc_root *r, conc_detector *w) {
  struct survey s = {.round = w->round, .vouched = true};
  bool all = conc_root_visit(r, check, &s) && s.n == w->n;
  w->looking = all && !s.vouched; /* not yet: ask later */
  if (all && s.vouched)
    pronounce(r, w);
}

void conc_deadlock_look(conc_root *r) {
  conc_detector *w = &r->detector;
  if (atomic_load(&w->off) != 0)
    w->looking = false;
  else if (w->looking)
    end(r, w);
  else
    begin(r, w);
}

bool conc_deadlock_detect(conc_root *r, bool on) {
  return atomic_exchange(&r->detector.off, on ? 0 : 1) == 0;
}

void conc_deadlock_patience(conc_root *r, conc_time span) {
  atomic_store(&r->detector.patience, span);
}

void conc_deadlock_text(conc_root *r, char *text, size_t size) {
  conc_detector *w = &r->detector;
  conc_mutex_lock(&w->lock);
  (void)snprintf(text, size, "%s", w->text == NULL ? "" : w->text);
  conc_mutex_unlock(&w->lock);
}
