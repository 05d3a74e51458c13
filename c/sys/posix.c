/*
 * Any other Unix.  Waiting on a word is done with a table of mutex and
 * condition pairs, found by the word's address: a sleeper holds the pair's
 * mutex from the comparison until it is asleep, and a waker takes that mutex
 * before it signals, so a wake-up cannot fall between the two.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__FreeBSD__) || defined(__DragonFly__) || defined(__OpenBSD__)
#include <pthread_np.h>
#elif defined(__NetBSD__)
#include <lwp.h>
#endif

#include "sys/shm.h"
#include "sys/stream.h"
#include "sys/unix.h"

enum { NPAIRS = 64 };

static struct pair {
  pthread_mutex_t lock;
  pthread_cond_t moved;
} pairs[NPAIRS];

/* Also in a process that was forked, where nobody sleeps who did, and who held
   a lock will not give it back. */
static void make_pairs(void) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
#ifndef __APPLE__
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
  for (int i = 0; i < NPAIRS; i++) {
    pthread_mutex_init(&pairs[i].lock, NULL);
    pthread_cond_init(&pairs[i].moved, &attr);
  }
  pthread_condattr_destroy(&attr);
}

static void begin(void) {
  make_pairs();
  conc_sys_at_fork(make_pairs);
}

static struct pair *pair_of(const conc_word *w) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, begin);
  return &pairs[((uintptr_t)w >> 4) % NPAIRS];
}

static void sleep_on(struct pair *p, int64_t timeout) {
#ifdef __APPLE__
  struct timespec ts = {timeout / 1000000000, timeout % 1000000000};
  pthread_cond_timedwait_relative_np(&p->moved, &p->lock, &ts);
#else
  int64_t until = conc_sys_now() + timeout;
  struct timespec ts = {until / 1000000000, until % 1000000000};
  pthread_cond_timedwait(&p->moved, &p->lock, &ts);
#endif
}

void conc_sys_wait(conc_word *w, uint32_t expected, int64_t timeout) {
  const int64_t day = 86400 * (int64_t)1000000000;
  struct pair *p = pair_of(w);
  pthread_mutex_lock(&p->lock);
  if (atomic_load(w) == expected) {
    if (timeout < 0)
      pthread_cond_wait(&p->moved, &p->lock);
    else
      sleep_on(p, timeout < day ? timeout : day);
  }
  pthread_mutex_unlock(&p->lock);
}

/* One pair serves many words: all its sleepers look again. */
void conc_sys_wake(conc_word *w, bool all) {
  struct pair *p = pair_of(w);
  (void)all;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->moved);
  pthread_mutex_unlock(&p->lock);
}

/*
 * Between processes: no portable primitive survives the death of who is inside
 * of it, so a sleeper looks by itself, soon at first and then less often.  A
 * wake from its own process ends the pause at once.
 */
void conc_sys_wait_shared(conc_word *w, uint32_t expected, int64_t timeout) {
  const int64_t least = 50000, most = 5000000;
  int64_t until = timeout < 0 ? INT64_MAX : conc_sys_now() + timeout;
  for (int64_t pause = least; atomic_load(w) == expected; pause *= 2) {
    int64_t now = conc_sys_now(), left = until - now;
    pause = pause < most ? pause : most;
    pause = pause < left ? pause : left;
    if (left > 0)
      conc_sys_wait(w, expected, pause);
    if (left <= 0 || conc_sys_now() - now < pause)
      return;
  }
}

bool conc_sys_wake_shared(conc_word *w, bool all) {
  conc_sys_wake(w, all);
  return true;
}

/* ---- Memory files ---- */

/* An ordinary file, whose name is gone. */
static int temporary(void) {
  const char *dir = getenv("TMPDIR");
  char path[1024];
  dir = dir == NULL || strlen(dir) > sizeof path / 2 ? "/tmp" : dir;
  (void)snprintf(path, sizeof path, "%s/conc.XXXXXX", dir);
  int fd = mkstemp(path);
  if (fd < 0)
    return -1;
  (void)unlink(path);
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return conc_unix_lift(fd);
}

static bool takes_locks(int fd) {
  struct flock lock = {
    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
  return fcntl(fd, F_GETLK, &lock) == 0;
}

/* The files of shm_open take no locks on FreeBSD and macOS. */
int conc_unix_memory_file(void) {
  int fd = conc_unix_unnamed();
  if (fd >= 0 && takes_locks(fd))
    return fd;
  if (fd >= 0)
    close(fd);
  return temporary();
}

/* macOS sets a size only once, and FreeBSD maps no more than there is. */
int conc_unix_reserve(int fd, size_t size) {
  return ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
}

/*
 * Where memory cannot be asked for, it comes when it is touched, and a machine
 * that has no more ends the program.
 */
int conc_unix_allocate(int fd, size_t from, size_t size) {
#if defined(__APPLE__) || defined(__OpenBSD__)
  (void)fd, (void)from, (void)size;
  return 0;
#else
  int st;
  do
    st = posix_fallocate(fd, (off_t)from, (off_t)size);
  while (st == EINTR);
  return st == EINVAL || st == ENODEV || st == ENOSYS || st == EOPNOTSUPP ? 0
                                                                          : st;
#endif
}

/* ---- Threads and processors ---- */

uint64_t conc_sys_tid(void) {
#ifdef __APPLE__
  uint64_t id = 0;
  pthread_threadid_np(NULL, &id);
  return id;
#elif defined(__linux__)
  return (uint64_t)gettid();
#elif defined(__FreeBSD__) || defined(__DragonFly__)
  return (uint64_t)pthread_getthreadid_np();
#elif defined(__OpenBSD__)
  return (uint64_t)getthrid();
#elif defined(__NetBSD__)
  return (uint64_t)_lwp_self();
#else
  return (uint64_t)(uintptr_t)pthread_self();
#endif
}

void conc_sys_name_thread(const char *name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#elif defined(__linux__)
  char cut[16] = {0};
  for (int i = 0; i < 15 && name[i] != '\0'; i++)
    cut[i] = name[i];
  pthread_setname_np(pthread_self(), cut);
#elif defined(__NetBSD__)
  pthread_setname_np(pthread_self(), "%s", (void *)(uintptr_t)name);
#elif defined(__FreeBSD__) || defined(__DragonFly__) || defined(__OpenBSD__)
  pthread_set_name_np(pthread_self(), name);
#else
  (void)name;
#endif
}

unsigned conc_sys_cpus(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : (unsigned)n;
}

void conc_sys_fence_all(void) { atomic_thread_fence(memory_order_seq_cst); }

bool conc_sys_abstract(void) { return false; }
