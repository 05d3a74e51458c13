#include "ipc/process.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/deadlock.h"
#include "ipc/brood.h"
#include "ipc/child.h"
#include "ipc/forks.h"
#include "ipc/io.h"
#include "ipc/parcel.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/* ---- Making ---- */

static void destroy(conc_obj *o) {
  conc_process *p = (conc_process *)o;
  conc_sys_close(p->channel);
  if (p->parcel != NULL)
    conc_release(&p->parcel->obj);
  if (p->tail != NULL)
    conc_release(&p->tail->obj);
  conc_msg_fini(&p->job);
  conc_release(p->heir);
  conc_free(p->name);
  if (p->ended != NULL)
    conc_release(&p->ended->obj);
  conc_forks_release(p->forks);
  conc_brood_release(p->brood);
  conc_obj_free(o);
}

const conc_class conc_process_class = {"Process", destroy};

apr_status_t conc_process_new(conc_process **out, conc_brood *b,
                              const char *name, bool daemon) {
  conc_process *p = conc_obj_new(&conc_process_class, sizeof *p);
  if (p == NULL)
    return APR_ENOMEM;
  conc_retain(&b->obj);
  p->brood = b;
  p->daemon = daemon;
  p->channel = CONC_NO_HANDLE;
  p->name = conc_strdup(name);
  if (p->name == NULL || conc_event_new(&p->ended) != APR_SUCCESS) {
    conc_release(&p->obj);
    return APR_ENOMEM;
  }
  *out = p;
  return APR_SUCCESS;
}

apr_status_t conc_process_adopt(conc_process **out, conc_brood *b,
                                const char *name, uint64_t pid) {
  conc_process *p;
  apr_status_t st = conc_process_new(&p, b, name, false);
  if (st != APR_SUCCESS)
    return st;
  p->foreign = true;
  p->pid = pid;
  atomic_store(&p->stage, CONC_PROCESS_STARTED);
  *out = p;
  return APR_SUCCESS;
}

/* ---- The end ---- */

/*
 * The order: whoever is told of the end finds the process out of the list, its
 * last words taken in, and what it left in shared memory dealt with.
 */
void conc_process_finish(conc_process *p, conc_sys_end end) {
  conc_brood *b = p->brood;
  conc_handle channel = CONC_NO_HANDLE;
  p->end = end;
  conc_proxy *parcel = NULL;
  conc_mutex_lock(&b->lock);
  if (!p->writing) {
    channel = p->channel;
    p->channel = CONC_NO_HANDLE;
    parcel = p->parcel;
    p->parcel = NULL;
  }
  conc_mutex_unlock(&b->lock);
  conc_sys_close(channel);
  if (parcel != NULL)
    conc_release(&parcel->obj);
  conc_heap_bury();
  if (p->tail != NULL)
    conc_tail_drain(p->tail);
  conc_retain(&p->obj);
  conc_outside(1); /* until all are told */
  conc_brood_remove(b, p);
  atomic_store(&p->stage, CONC_PROCESS_DONE);
  conc_wake(&p->stage, CONC_ALL);
  conc_event_set(p->ended);
  atomic_fetch_add(&b->ends, 1);
  conc_wake(&b->ends, CONC_ALL);
  if (p->gone != NULL)
    p->gone(p);
  conc_outside(-1);
  conc_release(&p->obj);
}

/* In the watcher: our child is dead, and still a number of its own. */
static void on_ended(conc_sys_child *c) {
  conc_process *p = (conc_process *)((char *)c - offsetof(conc_process, child));
  conc_mutex_lock(&p->brood->lock);
  p->reaped = true; /* no signal any more */
  conc_sys_end end = conc_sys_reap(c->pid);
  conc_mutex_unlock(&p->brood->lock);
  conc_process_finish(p, end);
  conc_release(&p->obj);
}

/* ---- Starting ---- */

/* The code, with the number of the channel in it; from conc_alloc. */
static char *filled_in(const char *code, conc_handle channel) {
  size_t size = strlen(code) + 24;
  const char *at = strstr(code, "%d");
  char *text = conc_alloc(size);
  if (text != NULL)
    (void)snprintf(text, size, "%.*s%lld%s", (int)(at - code), code,
                   (long long)channel, at + 2);
  return text;
}

apr_status_t conc_process_spawn(uint64_t *pid, const conc_process_how *how,
                                conc_handle theirs) {
  char *code = filled_in(how->code, theirs);
  if (code == NULL)
    return APR_ENOMEM;
  const char *argv[] = {how->name, "-e", code, NULL};
  const conc_handle inherit[] = {theirs,
                                 how->quiet ? theirs : conc_heap_handle()};
  const conc_sys_spawn_conf conf = {
    .path = how->program,
    .argv = argv,
    .inherit = inherit,
    .ninherit = how->quiet ? 1 : 2,
    .err = how->err,
    .quiet = how->quiet,
    .outlives = how->outlives,
  };
  apr_status_t st = conc_sys_spawn(pid, &conf);
  conc_free(code);
  return st;
}

/* STARTED comes before the watch, which may find it ended at once. */
static apr_status_t spawn(conc_process *p, const conc_process_how *how,
                          conc_handle theirs) {
  apr_status_t st = conc_process_spawn(&p->pid, how, theirs);
  if (st != APR_SUCCESS)
    return st;
  p->child = (conc_sys_child){.pid = p->pid, .ended = on_ended};
  p->reaped = false;
  atomic_store(&p->stage, CONC_PROCESS_STARTED);
  conc_retain(&p->obj);
  st = conc_sys_child_watch(&p->child);
  if (st != APR_SUCCESS) {
    (void)conc_sys_kill(p->pid, CONC_KILL);
    (void)conc_sys_reap(p->pid);
    conc_release(&p->obj);
  }
  return st;
}

static apr_status_t write_all(conc_handle h, const unsigned char *p,
                              size_t left, conc_parker *self) {
  apr_status_t st = APR_SUCCESS;
  while (left > 0 && st == APR_SUCCESS) {
    size_t n = left;
    st = conc_sys_write(h, p, &n);
    if (st == APR_SUCCESS) {
      p += n;
      left -= n;
    } else if (st == APR_EAGAIN) {
      st = conc_io_wait(h, CONC_WRITABLE, self, CONC_FOREVER);
    }
  }
  return st;
}

apr_status_t conc_process_write(conc_handle channel, const conc_wire *job,
                                uint64_t parcel, conc_parker *self) {
  const conc_job_head head = {job->size, parcel};
  apr_status_t st =
    write_all(channel, (const unsigned char *)&head, sizeof head, self);
  if (st == APR_SUCCESS)
    st = write_all(channel, job->data, job->size, self);
  return st == APR_EOF ? APR_SUCCESS : st;
}

/*
 * The shared objects in a parcel, which the process keeps until the child has
 * ended; the child empties it.
 */
static apr_status_t wrap(conc_process *p, const conc_wire *args,
                         uint64_t *offset) {
  conc_proxy *proxy;
  *offset = 0;
  if (args->nshared == 0)
    return APR_SUCCESS;
  apr_status_t st = conc_parcel_new(&proxy, 0, args->nshared);
  if (st != APR_SUCCESS)
    return st;
  for (uint32_t i = 0; i < args->nshared; i++)
    conc_shared_put(&conc_parcel_of(proxy)->refs[i], args->shared[i]);
  conc_shared_publish(proxy);
  *offset = conc_proxy_offset(proxy);
  p->parcel = proxy;
  return APR_SUCCESS;
}

/* The child runs: give it its job. */
static apr_status_t feed(conc_process *p, const conc_process_how *how,
                         conc_parker *self) {
  conc_brood *b = p->brood;
  conc_handle over = CONC_NO_HANDLE;
  uint64_t parcel;
  apr_status_t st = wrap(p, how->args, &parcel);
  if (st == APR_SUCCESS)
    st = conc_process_write(p->channel, how->job, 0, self);
  if (st == APR_SUCCESS)
    st = conc_process_write(p->channel, how->args, parcel, self);
  conc_mutex_lock(&b->lock);
  p->writing = false;
  if (atomic_load(&p->stage) == CONC_PROCESS_DONE) {
    over = p->channel;
    p->channel = CONC_NO_HANDLE;
  }
  conc_mutex_unlock(&b->lock);
  conc_sys_close(over);
  if (st != APR_SUCCESS)
    (void)conc_process_signal(p, CONC_KILL);
  return st;
}

static void unstart(conc_process *p) {
  conc_sys_close(p->channel);
  p->channel = CONC_NO_HANDLE;
  p->writing = false;
  conc_brood_remove(p->brood, p);
  atomic_store(&p->stage, CONC_PROCESS_NEW);
  conc_wake(&p->stage, CONC_ALL);
}

/* How it is to start, with a standard error of its own if that is kept. */
static apr_status_t with_tail(conc_process *p, conc_process_how *how) {
  how->err = CONC_NO_HANDLE;
  if (!p->keep_error)
    return APR_SUCCESS;
  if (p->tail != NULL) /* of a start that failed */
    conc_release(&p->tail->obj);
  p->tail = NULL;
  return conc_tail_new(&p->tail, &how->err);
}

static apr_status_t launch(conc_process *p, const conc_process_how *conf,
                           conc_parker *self) {
  conc_process_how how = *conf;
  conc_handle ends[2];
  apr_status_t st = conc_heap_open();
  if (st == APR_SUCCESS)
    st = conc_sys_channel(ends);
  if (st != APR_SUCCESS)
    return st;
  p->channel = ends[0];
  p->writing = true;
  st = with_tail(p, &how);
  if (st == APR_SUCCESS)
    st = how.server == NULL
           ? spawn(p, &how, ends[1])
           : conc_forks_start(p->brood, p, &how, ends[1], self);
  if (p->keep_error)
    conc_sys_close(how.err);
  conc_sys_close(ends[1]);
  return st;
}

apr_status_t conc_process_start(conc_process *p, const conc_process_how *how,
                                conc_parker *self) {
  uint32_t is_new = CONC_PROCESS_NEW;
  if (!atomic_compare_exchange_strong(&p->stage, &is_new,
                                      CONC_PROCESS_STARTING))
    return CONC_MISUSE;
  apr_status_t st = conc_brood_add(p->brood, p);
  if (st != APR_SUCCESS) {
    atomic_store(&p->stage, CONC_PROCESS_NEW);
    return st;
  }
  st = launch(p, how, self);
  if (st != APR_SUCCESS) {
    unstart(p);
    return st;
  }
  return feed(p, how, self);
}

/* ---- Watching and signalling ---- */

apr_status_t conc_process_join(conc_process *p, conc_parker *self,
                               conc_time deadline) {
  uint32_t stage;
  while ((stage = atomic_load(&p->stage)) != CONC_PROCESS_DONE) {
    apr_status_t st = conc_wait(&p->stage, stage, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  conc_event_set(p->ended); /* who set DONE is about to: the caller may look */
  return APR_SUCCESS;
}

apr_status_t conc_process_signal(conc_process *p, conc_sys_signal s) {
  apr_status_t st = APR_SUCCESS;
  uint32_t stage = atomic_load(&p->stage);
  if (stage == CONC_PROCESS_NEW)
    return CONC_MISUSE;
  if (stage == CONC_PROCESS_DONE)
    return APR_SUCCESS;
  if (p->forks != NULL)
    return conc_forks_signal(p->forks, p, s);
  conc_mutex_lock(&p->brood->lock);
  if (stage == CONC_PROCESS_STARTED && !p->reaped)
    st = conc_sys_kill(p->pid, s);
  conc_mutex_unlock(&p->brood->lock);
  return st;
}

void conc_process_name(conc_process *p, char *name, size_t size) {
  conc_mutex_lock(&p->brood->lock);
  (void)snprintf(name, size, "%s", p->name);
  conc_mutex_unlock(&p->brood->lock);
}

apr_status_t conc_process_set_name(conc_process *p, const char *name) {
  char *copy = conc_strdup(name);
  if (copy == NULL)
    return APR_ENOMEM;
  conc_mutex_lock(&p->brood->lock);
  char *old = p->name;
  p->name = copy;
  conc_mutex_unlock(&p->brood->lock);
  conc_free(old);
  return APR_SUCCESS;
}

apr_status_t conc_process_set_daemon(conc_process *p, bool daemon) {
  if (atomic_load(&p->stage) != CONC_PROCESS_NEW)
    return CONC_MISUSE;
  p->daemon = daemon;
  return APR_SUCCESS;
}

apr_status_t conc_process_close(conc_process *p) {
  if (conc_process_alive(p))
    return CONC_MISUSE;
  conc_mutex_lock(&p->brood->lock);
  p->closed = true;
  conc_mutex_unlock(&p->brood->lock);
  return APR_SUCCESS;
}

bool conc_process_closed(conc_process *p) {
  conc_mutex_lock(&p->brood->lock);
  bool closed = p->closed;
  conc_mutex_unlock(&p->brood->lock);
  return closed;
}

/* ---- Probing ---- */

/* It has ten seconds to say a word. */
static const double PATIENCE = 10;

/* Hear the word, or the end. */
static apr_status_t listen_to(conc_handle h, conc_parker *self) {
  conc_time deadline = conc_after(PATIENCE);
  char word;
  for (;;) {
    size_t n = 1;
    apr_status_t st = conc_sys_read(h, &word, &n);
    if (st == APR_EAGAIN)
      st = conc_io_wait(h, CONC_READABLE, self, deadline);
    else
      return st;
    if (st != APR_SUCCESS)
      return st;
  }
}

apr_status_t conc_process_probe(const conc_process_how *how, conc_parker *self,
                                conc_sys_end *end) {
  conc_handle ends[2];
  uint64_t pid;
  apr_status_t st = conc_sys_channel(ends);
  if (st != APR_SUCCESS)
    return st;
  st = conc_process_spawn(&pid, how, ends[1]);
  conc_sys_close(ends[1]);
  if (st == APR_SUCCESS) {
    st = listen_to(ends[0], self);
    if (st != APR_EOF)
      (void)conc_sys_kill(pid, CONC_KILL);
    *end = conc_sys_reap(pid);
    st = st == APR_EOF ? APR_EGENERAL : st;
  }
  conc_sys_close(ends[0]);
  return st;
}
