/*
 * The watcher of Linux: one thread for the process, made when the first watch
 * starts, in epoll_wait.  A process is watched by a descriptor of its own
 * (pidfd); where the kernel has none, by a thread.
 *
 * Handles are not pointers: epoll is told a slot and how often that was used
 * before, and an event that comes late for a watch that is over finds another
 * count.  'ready' runs without the lock; 'running' keeps stop from returning
 * meanwhile.
 *
 * A host may fork: then the copy has neither the thread nor a right to the
 * epoll set, and begins anew.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 256 << 10, AT_ONCE = 16 };

struct slot {
  conc_sys_watch *watch; /* NULL: free */
  uint32_t uses;
  uint32_t next; /* free one */
  int fd;        /* as epoll has it */
  bool own;      /* to be closed: a copy, or a process */
};

/* [l] under the lock */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t idle;     /* nothing is running */
  pid_t pid;               /* [l] of the process that has the rest */
  int epoll;               /* [l] */
  struct slot *slots;      /* [l] */
  uint32_t nslots, free;   /* [l] free: first free slot, or nslots */
  conc_sys_watch *running; /* [l] */
  pthread_t thread;        /* [l] */
} watcher = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .idle = PTHREAD_COND_INITIALIZER};

static uint64_t tag_of(uint32_t slot, uint32_t uses) {
  return (uint64_t)uses << 32 | slot;
}

static void leave_slot_locked(uint32_t i) {
  struct slot *s = &watcher.slots[i];
  (void)epoll_ctl(watcher.epoll, EPOLL_CTL_DEL, s->fd, NULL);
  if (s->own)
    close(s->fd);
  s->watch = NULL;
  s->uses++;
  s->next = watcher.free;
  watcher.free = i;
}

static conc_sys_watch *begin(uint64_t tag) {
  conc_sys_watch *w = NULL;
  pthread_mutex_lock(&watcher.lock);
  struct slot *s = &watcher.slots[(uint32_t)tag];
  if (s->uses == (uint32_t)(tag >> 32))
    w = s->watch;
  watcher.running = w;
  pthread_mutex_unlock(&watcher.lock);
  return w;
}

/* The watch may be gone with its memory: only its slot is looked at. */
static void end(uint64_t tag, bool more) {
  pthread_mutex_lock(&watcher.lock);
  struct slot *s = &watcher.slots[(uint32_t)tag];
  if (!more && s->watch != NULL && s->uses == (uint32_t)(tag >> 32))
    leave_slot_locked((uint32_t)tag);
  watcher.running = NULL;
  pthread_cond_broadcast(&watcher.idle);
  pthread_mutex_unlock(&watcher.lock);
}

static void *watch(void *epoll) {
  int fd = (int)(intptr_t)epoll;
  conc_sys_name_thread("conc watcher");
  for (;;) {
    struct epoll_event list[AT_ONCE];
    int n = epoll_wait(fd, list, AT_ONCE, -1);
    for (int i = 0; i < n; i++) {
      uint64_t tag = list[i].data.u64;
      conc_sys_watch *w = begin(tag);
      if (w != NULL)
        end(tag, w->ready(w));
    }
  }
  return NULL;
}

static apr_status_t start_thread(int epoll) {
  struct conc_sys_mask mask;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  conc_sys_mask_signals(&mask); /* none of a host's handlers runs there */
  int error =
    pthread_create(&watcher.thread, &attr, watch, (void *)(intptr_t)epoll);
  conc_sys_unmask_signals(&mask);
  pthread_attr_destroy(&attr);
  return error;
}

/* In a process that was forked the watcher may have been inside. */
static void leave_lock(void) {
  (void)pthread_mutex_init(&watcher.lock, NULL);
  (void)pthread_cond_init(&watcher.idle, NULL);
}

static void mind_forks(void) { conc_sys_at_fork(leave_lock); }

static apr_status_t set_up_locked(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (watcher.pid == getpid())
    return APR_SUCCESS;
  (void)pthread_once(&once, mind_forks);
  if (watcher.pid != 0)
    close(watcher.epoll);
  free(watcher.slots);
  watcher.slots = NULL;
  watcher.nslots = watcher.free = 0;
  watcher.running = NULL;
  watcher.pid = 0;
  int fd = conc_unix_lift(epoll_create1(EPOLL_CLOEXEC));
  if (fd < 0)
    return errno;
  apr_status_t st = start_thread(fd);
  if (st != APR_SUCCESS) {
    close(fd);
    return st;
  }
  watcher.epoll = fd;
  watcher.pid = getpid();
  return APR_SUCCESS;
}

static bool widen_locked(void) {
  uint32_t room = watcher.nslots == 0 ? 16 : 2 * watcher.nslots;
  struct slot *slots = realloc(watcher.slots, room * sizeof *slots);
  if (slots == NULL)
    return false;
  for (uint32_t i = watcher.nslots; i < room; i++)
    slots[i] = (struct slot){.next = i + 1};
  watcher.slots = slots;
  watcher.nslots = room;
  return true;
}

/* epoll takes a descriptor once: the second watch on it gets a copy. */
static apr_status_t add_locked(struct slot *s, struct epoll_event *ev) {
  if (epoll_ctl(watcher.epoll, EPOLL_CTL_ADD, s->fd, ev) == 0)
    return APR_SUCCESS;
  if (errno != EEXIST)
    return errno;
  s->fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
  if (s->fd < 0)
    return errno;
  s->own = true;
  if (epoll_ctl(watcher.epoll, EPOLL_CTL_ADD, s->fd, ev) == 0)
    return APR_SUCCESS;
  int error = errno;
  close(s->fd);
  return error;
}

static apr_status_t start_locked(conc_sys_watch *w, bool own) {
  apr_status_t st = set_up_locked();
  if (st != APR_SUCCESS)
    return st;
  if (watcher.free == watcher.nslots && !widen_locked())
    return APR_ENOMEM;
  uint32_t i = watcher.free;
  struct slot *s = &watcher.slots[i];
  struct epoll_event ev = {.data.u64 = tag_of(i, s->uses)};
  ev.events = (w->events & CONC_READABLE ? EPOLLIN | EPOLLRDHUP : 0u) |
              (w->events & CONC_WRITABLE ? EPOLLOUT : 0u);
  s->fd = (int)w->handle;
  s->watch = w;
  s->own = own;
  w->slot = i;
  st = add_locked(s, &ev);
  if (st == APR_SUCCESS)
    watcher.free = s->next;
  else
    s->watch = NULL;
  return st;
}

static apr_status_t start(conc_sys_watch *w, bool own) {
  pthread_mutex_lock(&watcher.lock);
  apr_status_t st = start_locked(w, own);
  pthread_mutex_unlock(&watcher.lock);
  return st;
}

apr_status_t conc_sys_watch_start(conc_sys_watch *w) { return start(w, false); }

bool conc_sys_watch_stop(conc_sys_watch *w) {
  bool live = false;
  pthread_mutex_lock(&watcher.lock);
  if (watcher.pid == getpid()) {
    while (watcher.running == w)
      pthread_cond_wait(&watcher.idle, &watcher.lock);
    live = w->slot < watcher.nslots && watcher.slots[w->slot].watch == w;
    if (live)
      leave_slot_locked(w->slot);
  }
  pthread_mutex_unlock(&watcher.lock);
  return live;
}

void conc_sys_watch_over(conc_sys_watch *w) {
  pthread_mutex_lock(&watcher.lock);
  if (watcher.slots[w->slot].watch == w)
    leave_slot_locked(w->slot);
  pthread_mutex_unlock(&watcher.lock);
}

/* ---- Children ---- */

static bool child_ended(conc_sys_watch *w) {
  conc_sys_child *c =
    (conc_sys_child *)((char *)w - offsetof(conc_sys_child, watch));
  c->ended(c); /* and the child may be gone; its slot closes the handle */
  return false;
}

apr_status_t conc_sys_child_watch(conc_sys_child *c) {
#ifdef SYS_pidfd_open
  int fd = conc_unix_lift((int)syscall(SYS_pidfd_open, (pid_t)c->pid, 0));
#else
  int fd = -1;
#endif
  if (fd < 0)
    return conc_unix_child_thread(c);
  c->watch = (conc_sys_watch){
    .handle = fd, .events = CONC_READABLE, .ready = child_ended};
  apr_status_t st = start(&c->watch, true);
  if (st != APR_SUCCESS)
    close(fd);
  return st;
}
