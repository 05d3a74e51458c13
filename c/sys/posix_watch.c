/*
 * The watcher of any other Unix: one thread for the process, in poll, over all
 * watches; a byte through a pipe makes it look at the list again.  Processes
 * have a thread each that waits for them.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* [l] under the lock */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t idle;     /* nothing is running */
  pid_t pid;               /* [l] of the process that has the rest */
  int bell[2];             /* [l] */
  conc_sys_watch **list;   /* [l] w->slot is its place; [0] is the bell's */
  struct pollfd *asked;    /* [l] written by the watcher */
  uint32_t n, room;        /* [l] */
  conc_sys_watch *running; /* [l] */
  bool over;               /* [l] the one that was running is gone */
} watcher = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .idle = PTHREAD_COND_INITIALIZER};

static void ring_locked(void) { (void)!write(watcher.bell[1], "", 1); }

static void remove_locked(uint32_t i) {
  conc_sys_watch *last = watcher.list[--watcher.n];
  watcher.list[i] = last;
  last->slot = i;
}

/* What to ask for, in a block of the watcher's own. */
static uint32_t collect(struct pollfd **block, uint32_t *room) {
  pthread_mutex_lock(&watcher.lock);
  uint32_t n = watcher.n;
  if (n > *room) {
    struct pollfd *more = realloc(*block, watcher.room * sizeof *more);
    if (more != NULL) {
      *block = more;
      *room = watcher.room;
    }
  }
  n = n < *room ? n : *room; /* without memory: some wait longer */
  for (uint32_t i = 0; i < n; i++) {
    const conc_sys_watch *w = watcher.list[i];
    short events = POLLIN;
    if (w != NULL)
      events = (short)((w->events & CONC_READABLE ? POLLIN : 0) |
                       (w->events & CONC_WRITABLE ? POLLOUT : 0));
    (*block)[i] = (struct pollfd){
      .fd = w == NULL ? watcher.bell[0] : (int)w->handle, .events = events};
  }
  pthread_mutex_unlock(&watcher.lock);
  return n;
}

/* The watch on that descriptor that stood at 'i' when it was asked for. */
static conc_sys_watch *begin(uint32_t i, const struct pollfd *p) {
  pthread_mutex_lock(&watcher.lock);
  conc_sys_watch *w = i < watcher.n ? watcher.list[i] : NULL;
  if (w != NULL && (int)w->handle != p->fd)
    w = NULL; /* another one took its place: it is asked for again */
  watcher.running = w;
  watcher.over = false;
  pthread_mutex_unlock(&watcher.lock);
  return w;
}

/* A watch that is over may be gone with its memory.  It may have another place
   than when it began. */
static void end(const conc_sys_watch *w, bool more) {
  pthread_mutex_lock(&watcher.lock);
  if (!more && !watcher.over)
    remove_locked(w->slot);
  watcher.running = NULL;
  pthread_cond_broadcast(&watcher.idle);
  pthread_mutex_unlock(&watcher.lock);
}

static void *watch(void *arg) {
  struct pollfd *block = NULL;
  uint32_t room = 0;
  char rung[64];
  int bell = (int)(intptr_t)arg;
  conc_sys_name_thread("conc watcher");
  for (;;) {
    uint32_t n = collect(&block, &room);
    if (poll(block, n, -1) < 0)
      continue;
    if (block[0].revents != 0)
      (void)!read(bell, rung, sizeof rung);
    for (uint32_t i = n;
         i-- > 1;) { /* from the end: a removal moves the last */
      conc_sys_watch *w = block[i].revents == 0 ? NULL : begin(i, &block[i]);
      if (w != NULL)
        end(w, w->ready(w));
    }
  }
  return NULL;
}

static bool widen_locked(void) {
  uint32_t room = watcher.room == 0 ? 16 : 2 * watcher.room;
  conc_sys_watch **list = realloc(watcher.list, room * sizeof *list);
  if (list == NULL)
    return false;
  watcher.list = list;
  watcher.room = room;
  return true;
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
  if (watcher.pid != 0) {
    close(watcher.bell[0]);
    close(watcher.bell[1]);
  }
  watcher.n = 0;
  watcher.running = NULL;
  watcher.pid = 0;
  if (watcher.room == 0 && !widen_locked())
    return APR_ENOMEM;
  watcher.list[watcher.n++] = NULL;
  apr_status_t st = conc_unix_pipe(watcher.bell);
  if (st != APR_SUCCESS)
    return st;
  (void)fcntl(watcher.bell[0], F_SETFL, O_NONBLOCK);
  (void)fcntl(watcher.bell[1], F_SETFL, O_NONBLOCK);
  st = conc_sys_helper(watch, (void *)(intptr_t)watcher.bell[0]);
  if (st != APR_SUCCESS) {
    close(watcher.bell[0]);
    close(watcher.bell[1]);
    return st;
  }
  watcher.pid = getpid();
  return APR_SUCCESS;
}

apr_status_t conc_sys_watch_start(conc_sys_watch *w) {
  pthread_mutex_lock(&watcher.lock);
  apr_status_t st = set_up_locked();
  if (st == APR_SUCCESS && watcher.n == watcher.room && !widen_locked())
    st = APR_ENOMEM;
  if (st == APR_SUCCESS) {
    w->slot = watcher.n;
    watcher.list[watcher.n++] = w;
    ring_locked();
  }
  pthread_mutex_unlock(&watcher.lock);
  return st;
}

bool conc_sys_watch_stop(conc_sys_watch *w) {
  bool live = false;
  pthread_mutex_lock(&watcher.lock);
  if (watcher.pid == getpid()) {
    while (watcher.running == w)
      pthread_cond_wait(&watcher.idle, &watcher.lock);
    live = w->slot < watcher.n && watcher.list[w->slot] == w;
    if (live) {
      remove_locked(w->slot);
      ring_locked();
    }
  }
  pthread_mutex_unlock(&watcher.lock);
  return live;
}

void conc_sys_watch_over(conc_sys_watch *w) {
  pthread_mutex_lock(&watcher.lock);
  if (w->slot < watcher.n && watcher.list[w->slot] == w) {
    remove_locked(w->slot);
    watcher.over = true;
  }
  pthread_mutex_unlock(&watcher.lock);
}

apr_status_t conc_sys_child_watch(conc_sys_child *c) {
  return conc_unix_child_thread(c);
}
