#include "ipc/sweeper.h"

#include "base/status.h"
#include "core/latch.h"
#include "core/shield.h"
#include "sys/shm.h"
#include "wait/mutex.h"

/*
 * References: the brood's, one of the watch on the process.
 *
 * [c] constant after new   [a] atomic   [w] of the watcher
 */
struct conc_sweeper {
  conc_obj obj;
  conc_handle channel;  /* [c] its end tells that we have ended */
  conc_sys_child child; /* [w] */
  conc_word gone;       /* [a] it has ended */
};

static void destroy(conc_obj *o) {
  conc_sys_close(((conc_sweeper *)o)->channel);
  conc_obj_free(o);
}

static const conc_class sweeper_class = {"sweeper", destroy};

void conc_sweeper_release(conc_sweeper *s) {
  if (s != NULL)
    conc_release(&s->obj);
}

static void on_ended(conc_sys_child *c) {
  conc_sweeper *s = (conc_sweeper *)((char *)c - offsetof(conc_sweeper, child));
  (void)conc_sys_reap(c->pid);
  atomic_store(&s->gone, 1);
  conc_release(&s->obj);
}

static apr_status_t watch(conc_sweeper *s, uint64_t pid) {
  s->child = (conc_sys_child){.pid = pid, .ended = on_ended};
  conc_retain(&s->obj);
  apr_status_t st = conc_sys_child_watch(&s->child);
  if (st != APR_SUCCESS) {
    (void)conc_sys_kill(pid, CONC_KILL);
    (void)conc_sys_reap(pid);
    conc_release(&s->obj);
  }
  return st;
}

static apr_status_t make(conc_sweeper **out, const conc_process_how *how) {
  conc_handle ends[2];
  uint64_t pid;
  conc_sweeper *s = conc_obj_new(&sweeper_class, sizeof *s);
  if (s == NULL)
    return APR_ENOMEM;
  s->channel = CONC_NO_HANDLE;
  apr_status_t st = conc_sys_channel(ends);
  if (st == APR_SUCCESS) {
    s->channel = ends[0];
    st = conc_process_spawn(&pid, how, ends[1]);
    conc_sys_close(ends[1]);
  }
  if (st == APR_SUCCESS)
    st = watch(s, pid);
  if (st != APR_SUCCESS)
    conc_release(&s->obj);
  else
    *out = s;
  return st;
}

static bool runs(conc_brood *b) {
  conc_mutex_lock(&b->lock);
  bool yes = b->sweeper != NULL && atomic_load(&b->sweeper->gone) == 0;
  conc_mutex_unlock(&b->lock);
  return yes;
}

bool conc_sweeper_wanted(conc_brood *b) {
  return conc_sys_named_lingers() && !runs(b);
}

/* A brood that has ended takes none. */
static apr_status_t give(conc_brood *b, conc_sweeper *s) {
  conc_mutex_lock(&b->lock);
  bool closed = b->closed;
  conc_sweeper *old = closed ? s : b->sweeper;
  if (!closed)
    b->sweeper = s;
  conc_mutex_unlock(&b->lock);
  conc_sweeper_release(old);
  return closed ? CONC_CLOSED : APR_SUCCESS;
}

apr_status_t conc_sweeper_start(conc_brood *b, const conc_process_how *how,
                                conc_parker *self) {
  apr_status_t st = APR_SUCCESS;
  conc_sweeper *s;
  conc_shield_up(self);
  (void)conc_latch_acquire(&b->forking, self, CONC_FOREVER);
  if (!runs(b) && (st = make(&s, how)) == APR_SUCCESS)
    st = give(b, s);
  (void)conc_latch_release(&b->forking);
  conc_shield_down(self);
  return st;
}

void conc_sweeper_close(conc_sweeper *s) {
  size_t n = 1;
  (void)conc_sys_write(s->channel, "q", &n);
}
