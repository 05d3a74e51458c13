#include "ipc/forks.h"

#include "base/mem.h"
#include "base/status.h"
#include "core/latch.h"
#include "core/shield.h"
#include "ipc/brood.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/*
 * References: the brood's, one of each process that was forked there, one of
 * the watch on the channel while that goes on, one of the watch on the server.
 *
 * What the server says comes in the order of what it was asked, so the oldest
 * in 'asked' is meant.
 *
 * [c] constant after new   [l] lock, taken before the brood's   [w] of the
 * watcher
 */
struct conc_forks {
  conc_obj obj;
  conc_brood *brood;    /* [c] a reference */
  conc_handle channel;  /* [c] */
  conc_sys_watch watch; /* [w] */
  conc_sys_child child; /* [w] the server */
  conc_word lock;
  bool gone;                  /* [l] it says nothing any more */
  conc_process *first, *last; /* [l] asked for, a reference each */
};

static void destroy(conc_obj *o) {
  conc_forks *f = (conc_forks *)o;
  conc_sys_close(f->channel);
  conc_brood_release(f->brood);
  conc_obj_free(o);
}

static const conc_class forks_class = {"fork server", destroy};

void conc_forks_release(conc_forks *f) {
  if (f != NULL)
    conc_release(&f->obj);
}

/* ---- Hearing ---- */

static conc_process *oldest_asked(conc_forks *f) {
  conc_mutex_lock(&f->lock);
  conc_process *p = f->first;
  if (p != NULL)
    f->first = p->next_asked;
  conc_mutex_unlock(&f->lock);
  return p;
}

/* One that was asked for is there, or will not be. */
static void answer(conc_process *p, conc_process_stage stage) {
  atomic_store(&p->stage, stage);
  conc_wake(&p->stage, CONC_ALL);
  conc_release(&p->obj);
}

static void forked(conc_forks *f, uint64_t pid) {
  conc_process *p = oldest_asked(f);
  if (p == NULL)
    return;
  p->pid = pid;
  p->forks = (conc_forks *)(void *)conc_retain(&f->obj);
  answer(p, CONC_PROCESS_STARTED);
}

static void not_forked(conc_process *p, apr_status_t why) {
  p->refused = why;
  answer(p, CONC_PROCESS_REFUSED);
}

/* The process of this server with that number, retained; or NULL. */
static conc_process *find(conc_forks *f, uint64_t pid) {
  conc_mutex_lock(&f->brood->lock);
  conc_process *p = f->brood->first;
  while (p != NULL && (p->forks != f || p->pid != pid))
    p = p->next;
  if (p != NULL)
    conc_retain(&p->obj);
  conc_mutex_unlock(&f->brood->lock);
  return p;
}

static void fork_ended(conc_forks *f, const conc_sys_forks_news *news) {
  conc_process *p = find(f, news->pid);
  if (p == NULL)
    return;
  conc_process_finish(p, news->end);
  conc_release(&p->obj);
}

/* ---- After the server ---- */

/*
 * Nobody tells how those that it forked end; that they end is seen from their
 * channels.
 */
static bool on_channel(conc_sys_watch *w) {
  conc_process *p =
    (conc_process *)((char *)w - offsetof(conc_process, child.watch));
  char bytes[64];
  size_t n = sizeof bytes;
  apr_status_t st = conc_sys_read(w->handle, bytes, &n);
  if (st == APR_SUCCESS || st == APR_EAGAIN)
    return true;
  conc_sys_watch_over(w);
  conc_process_finish(p, (conc_sys_end){.code = 255});
  conc_release(&p->obj);
  return false;
}

/* Takes the reference over. */
static void watch_channel(conc_process *p) {
  p->child.watch = (conc_sys_watch){p->channel, CONC_READABLE, on_channel, 0};
  if (conc_sys_watch_start(&p->child.watch) != APR_SUCCESS) {
    conc_process_finish(p, (conc_sys_end){.code = 255});
    conc_release(&p->obj);
  }
}

static void orphan_all(conc_forks *f) {
  for (;;) {
    conc_mutex_lock(&f->brood->lock);
    conc_process *p = f->brood->first;
    while (p != NULL && (p->forks != f || p->orphaned))
      p = p->next;
    if (p != NULL) {
      conc_retain(&p->obj);
      p->orphaned = true;
    }
    conc_mutex_unlock(&f->brood->lock);
    if (p == NULL)
      return;
    watch_channel(p);
  }
}

static void server_gone(conc_forks *f) {
  conc_process *p;
  conc_mutex_lock(&f->lock);
  f->gone = true;
  conc_mutex_unlock(&f->lock);
  while ((p = oldest_asked(f)) != NULL)
    not_forked(p, APR_EOF);
  orphan_all(f);
}

static bool on_news(conc_sys_watch *w) {
  conc_forks *f = (conc_forks *)((char *)w - offsetof(conc_forks, watch));
  conc_sys_forks_news news;
  apr_status_t st;
  while ((st = conc_sys_forks_hear(f->channel, &news)) == APR_SUCCESS) {
    conc_process *p;
    if (news.what == CONC_FORKED)
      forked(f, news.pid);
    else if (news.what == CONC_FORK_ENDED)
      fork_ended(f, &news);
    else if ((p = oldest_asked(f)) != NULL)
      not_forked(p, news.why);
  }
  if (st == APR_EAGAIN)
    return true;
  server_gone(f);
  conc_sys_watch_over(w);
  conc_release(&f->obj);
  return false;
}

static void on_server_ended(conc_sys_child *c) {
  conc_forks *f = (conc_forks *)((char *)c - offsetof(conc_forks, child));
  (void)conc_sys_reap(c->pid);
  conc_release(&f->obj);
}

/* ---- Making one ---- */

static apr_status_t watch_server(conc_forks *f, uint64_t pid) {
  f->child = (conc_sys_child){.pid = pid, .ended = on_server_ended};
  conc_retain(&f->obj);
  apr_status_t st = conc_sys_child_watch(&f->child);
  if (st != APR_SUCCESS) {
    (void)conc_sys_kill(pid, CONC_KILL);
    (void)conc_sys_reap(pid);
    conc_release(&f->obj);
  }
  return st;
}

static apr_status_t watch_news(conc_forks *f) {
  f->watch = (conc_sys_watch){f->channel, CONC_READABLE, on_news, 0};
  conc_retain(&f->obj);
  apr_status_t st = conc_sys_watch_start(&f->watch);
  if (st != APR_SUCCESS)
    conc_release(&f->obj);
  return st;
}

static apr_status_t new_server(conc_forks **out, conc_brood *b,
                               const conc_process_how *how, conc_parker *self) {
  conc_handle ends[2];
  uint64_t pid = 0;
  conc_forks *f = conc_obj_new(&forks_class, sizeof *f);
  if (f == NULL)
    return APR_ENOMEM;
  f->channel = CONC_NO_HANDLE;
  f->brood = (conc_brood *)(void *)conc_retain(&b->obj);
  apr_status_t st = conc_sys_channel(ends);
  if (st == APR_SUCCESS) {
    f->channel = ends[0];
    conc_process_how server = *how;
    server.name = "conc fork server";
    server.err = CONC_NO_HANDLE;
    st = conc_process_spawn(&pid, &server, ends[1]);
    conc_sys_close(ends[1]);
  }
  if (st == APR_SUCCESS)
    st = watch_server(f, pid);
  if (st == APR_SUCCESS)
    st = conc_process_write(f->channel, how->server, 0, self);
  if (st == APR_SUCCESS)
    st = watch_news(f);
  if (st != APR_SUCCESS) {
    conc_release(&f->obj); /* its channel closes, and it ends */
    return st;
  }
  *out = f;
  return APR_SUCCESS;
}

static bool is_gone(conc_forks *f) {
  conc_mutex_lock(&f->lock);
  bool gone = f->gone;
  conc_mutex_unlock(&f->lock);
  return gone;
}

/* The brood's server, retained, new if need be. */
static apr_status_t get_server(conc_forks **out, conc_brood *b,
                               const conc_process_how *how, conc_parker *self) {
  apr_status_t st = APR_SUCCESS;
  conc_shield_up(self);
  (void)conc_latch_acquire(&b->forking, self, CONC_FOREVER);
  conc_forks *f = b->forks, *old = NULL;
  if (f == NULL || is_gone(f)) {
    st = new_server(&f, b, how, self);
    if (st == APR_SUCCESS) {
      conc_mutex_lock(&b->lock);
      old = b->forks;
      b->forks = f;
      conc_mutex_unlock(&b->lock);
    }
  }
  if (st == APR_SUCCESS)
    *out = (conc_forks *)(void *)conc_retain(&f->obj);
  (void)conc_latch_release(&b->forking);
  conc_shield_down(self);
  conc_forks_release(old);
  return st;
}

/* ---- Asking ---- */

/* Queued and asked for in one step, so that the answers find their order. */
static apr_status_t ask(conc_forks *f, conc_process *p, conc_handle theirs,
                        conc_handle err) {
  apr_status_t st = APR_EOF;
  conc_mutex_lock(&f->lock);
  if (!f->gone)
    st = conc_sys_forks_ask(f->channel, theirs, err);
  if (st == APR_SUCCESS) {
    conc_retain(&p->obj);
    p->next_asked = NULL;
    if (f->first == NULL)
      f->first = p;
    else
      f->last->next_asked = p;
    f->last = p;
  }
  conc_mutex_unlock(&f->lock);
  return st;
}

static apr_status_t await_answer(conc_process *p, conc_parker *self) {
  conc_shield_up(self);
  while (atomic_load(&p->stage) == CONC_PROCESS_STARTING)
    (void)conc_wait(&p->stage, CONC_PROCESS_STARTING, self, CONC_FOREVER);
  conc_shield_down(self);
  if (atomic_load(&p->stage) != CONC_PROCESS_REFUSED)
    return APR_SUCCESS;
  atomic_store(&p->stage, CONC_PROCESS_STARTING);
  return p->refused;
}

apr_status_t conc_forks_start(conc_brood *b, conc_process *p,
                              const conc_process_how *how, conc_handle theirs,
                              conc_parker *self) {
  enum { TRIES = 3 }; /* one may die just now */
  apr_status_t st = APR_EOF;
  for (int i = 0; i < TRIES && st == APR_EOF; i++) {
    conc_forks *f = NULL;
    st = get_server(&f, b, how, self);
    if (st != APR_SUCCESS)
      return st;
    st = ask(f, p, theirs, how->err);
    if (st == APR_SUCCESS)
      st = await_answer(p, self);
    conc_forks_release(f);
  }
  return st;
}

/* Without its server a process can only be let go: that ends it as well. */
apr_status_t conc_forks_signal(conc_forks *f, conc_process *p,
                               conc_sys_signal s) {
  apr_status_t st = APR_EOF;
  conc_mutex_lock(&f->lock);
  if (!f->gone)
    st = conc_sys_forks_kill(f->channel, p->pid, s);
  conc_mutex_unlock(&f->lock);
  if (st != APR_EOF)
    return st;
  conc_mutex_lock(&p->brood->lock);
  if (p->channel != CONC_NO_HANDLE)
    conc_sys_hang_up(p->channel);
  conc_mutex_unlock(&p->brood->lock);
  return APR_SUCCESS;
}

void conc_forks_close(conc_forks *f) {
  conc_mutex_lock(&f->lock);
  f->gone = true;
  conc_sys_hang_up(f->channel);
  conc_mutex_unlock(&f->lock);
}
