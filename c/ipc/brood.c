#include "ipc/brood.h"

#include "base/status.h"
#include "core/deadlock.h"
#include "core/shield.h"
#include "ipc/forks.h"
#include "ipc/sweeper.h"
#include "wait/lot.h"
#include "wait/mutex.h"

static void destroy(conc_obj *o) {
  conc_brood *b = (conc_brood *)o;
  conc_forks_release(b->forks);
  conc_sweeper_release(b->sweeper);
  for (int i = 0; i < CONC_NOTES; i++)
    if (b->notes[i] != NULL)
      conc_release(&b->notes[i]->obj);
  conc_obj_free(o);
}

static const conc_class brood_class = {"brood", destroy};

apr_status_t conc_brood_new(conc_obj **out) {
  conc_brood *b = conc_obj_new(&brood_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  b->pid = conc_sys_pid();
  *out = &b->obj;
  return APR_SUCCESS;
}

conc_blob *conc_brood_note(conc_brood *b, conc_note which) {
  conc_mutex_lock(&b->lock);
  conc_blob *text = b->notes[which];
  if (text != NULL)
    conc_retain(&text->obj);
  conc_mutex_unlock(&b->lock);
  return text;
}

void conc_brood_set_note(conc_brood *b, conc_note which, conc_blob *text,
                         bool keep) {
  conc_mutex_lock(&b->lock);
  conc_blob *old = b->notes[which];
  if (keep && old != NULL)
    old = text; /* is dropped */
  else
    b->notes[which] = text;
  conc_mutex_unlock(&b->lock);
  if (old != NULL)
    conc_release(&old->obj);
}

conc_process *conc_brood_relative(conc_brood *b, conc_relative which) {
  conc_mutex_lock(&b->lock);
  conc_process *p = b->relatives[which];
  if (p != NULL)
    conc_retain(&p->obj);
  conc_mutex_unlock(&b->lock);
  return p;
}

/*
 * A host has forked: what its parent has started is left to it, with the
 * references of the list, since the watcher that knew them is not here either.
 */
static void leave_locked(conc_brood *b) {
  uint64_t pid = conc_sys_pid();
  if (b->pid == pid)
    return;
  b->pid = pid;
  for (conc_process *p = b->first; p != NULL; p = p->next) {
    p->left = true;
    conc_outside(-1);
  }
  b->first = b->last = NULL;
  b->forks = NULL;
}

bool conc_process_left(conc_process *p) {
  conc_brood *b = p->brood;
  conc_mutex_lock(&b->lock);
  leave_locked(b);
  bool left = p->left;
  conc_mutex_unlock(&b->lock);
  return left;
}

conc_process *conc_brood_set_relative(conc_brood *b, conc_relative which,
                                      conc_process *p) {
  conc_mutex_lock(&b->lock);
  conc_process *old = b->relatives[which];
  b->relatives[which] = p;
  leave_locked(b);
  if (which == CONC_PARENT) /* it is there, and is no child */
    conc_outside((p != NULL) - (old != NULL));
  conc_mutex_unlock(&b->lock);
  return old;
}

void conc_brood_release(conc_brood *b) {
  if (b != NULL)
    conc_release(&b->obj);
}

uint64_t conc_brood_count(conc_brood *b) {
  return atomic_fetch_add(&b->counter, 1) + 1;
}

apr_status_t conc_brood_add(conc_brood *b, conc_process *p) {
  conc_mutex_lock(&b->lock);
  leave_locked(b);
  bool closed = b->closed;
  if (!closed) {
    p->next = NULL;
    p->prev = b->last;
    if (b->last != NULL)
      b->last->next = p;
    else
      b->first = p;
    b->last = p;
    conc_retain(&p->obj);
    conc_outside(1);
  }
  conc_mutex_unlock(&b->lock);
  return closed ? CONC_CLOSED : APR_SUCCESS;
}

void conc_brood_remove(conc_brood *b, conc_process *p) {
  conc_mutex_lock(&b->lock);
  if (p->prev != NULL)
    p->prev->next = p->next;
  else
    b->first = p->next;
  if (p->next != NULL)
    p->next->prev = p->prev;
  else
    b->last = p->prev;
  p->prev = p->next = NULL;
  conc_outside(-1);
  conc_mutex_unlock(&b->lock);
  conc_release(&p->obj);
}

size_t conc_brood_processes(conc_brood *b, conc_obj **list, size_t room) {
  size_t n = 0;
  conc_mutex_lock(&b->lock);
  leave_locked(b);
  for (conc_process *p = b->first; p != NULL; p = p->next, n++)
    if (n < room)
      list[n] = conc_retain(&p->obj);
  conc_mutex_unlock(&b->lock);
  return n;
}

/* ---- The ladder ---- */

static bool counts(const conc_process *p, bool daemons_too) {
  return daemons_too || !p->daemon;
}

static bool any(conc_brood *b, bool daemons_too) {
  bool found = false;
  conc_mutex_lock(&b->lock);
  for (conc_process *p = b->first; p != NULL && !found; p = p->next)
    found = counts(p, daemons_too);
  conc_mutex_unlock(&b->lock);
  return found;
}

/* One that this round has not met yet, retained; or NULL. */
static conc_process *next(conc_brood *b, uint32_t round, bool daemons) {
  conc_mutex_lock(&b->lock);
  conc_process *p = b->first;
  while (p != NULL && (p->round == round || (daemons && !p->daemon)))
    p = p->next;
  if (p != NULL) {
    p->round = round;
    conc_retain(&p->obj);
  }
  conc_mutex_unlock(&b->lock);
  return p;
}

static void signal_all(conc_brood *b, conc_sys_signal s, bool daemons) {
  uint32_t round = ++b->rounds;
  conc_process *p;
  while ((p = next(b, round, daemons)) != NULL) {
    (void)conc_process_signal(p, s);
    conc_release(&p->obj);
  }
}

/* Wait until none of that kind is left; true: so it is. */
static bool await(conc_brood *b, bool daemons_too, conc_parker *self,
                  conc_time deadline) {
  apr_status_t st = APR_SUCCESS;
  bool left = true;
  conc_shield_up(self);
  while (!APR_STATUS_IS_TIMEUP(st)) {
    uint32_t seen = atomic_load(&b->ends);
    left = any(b, daemons_too);
    if (!left)
      break;
    st = conc_wait(&b->ends, seen, self, deadline);
  }
  conc_shield_down(self);
  return !left;
}

void conc_brood_close(conc_brood *b, conc_parker *self, conc_time deadline,
                      int64_t grace) {
  for (int i = 0; i < 2; i++) { /* they hold the brood, which holds them */
    conc_process *p = conc_brood_set_relative(b, (conc_relative)i, NULL);
    if (p != NULL)
      conc_release(&p->obj);
  }
  conc_mutex_lock(&b->lock);
  leave_locked(b);
  b->closed = true;
  conc_mutex_unlock(&b->lock);
  signal_all(b, CONC_TERMINATE, true);
  (void)await(b, false, self, deadline);
  if (any(b, true)) {
    signal_all(b, CONC_TERMINATE, false);
    if (!await(b, true, self, conc_sys_now() + grace)) {
      signal_all(b, CONC_KILL, false);
      (void)await(b, true, self, conc_after(5)); /* but for a stuck kernel */
    }
  }
  conc_mutex_lock(&b->lock);
  conc_forks *f = b->forks;
  conc_sweeper *s = b->sweeper;
  b->forks = NULL;
  b->sweeper = NULL;
  conc_mutex_unlock(&b->lock);
  if (f != NULL) {
    conc_forks_close(f);
    conc_forks_release(f);
  }
  if (s != NULL) {
    conc_sweeper_close(s);
    conc_sweeper_release(s);
  }
}
