/* Linux: futexes, thread ids, affinity, control groups, memory files. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/shm.h"
#include "sys/stream.h"
#include "sys/unix.h"

static void wait_on(conc_word *w, int how, uint32_t expected, int64_t timeout) {
  struct timespec ts, *limit = NULL;
  if (timeout >= 0) {
    ts.tv_sec = (time_t)(timeout / 1000000000);
    ts.tv_nsec = (long)(timeout % 1000000000);
    limit = &ts;
  }
  (void)syscall(SYS_futex, w, how, expected, limit, NULL, 0);
}

static long wake_up(conc_word *w, int how, bool all) {
  return syscall(SYS_futex, w, how, all ? 0x7fffffff : 1, NULL, NULL, 0);
}

void conc_sys_wait(conc_word *w, uint32_t expected, int64_t timeout) {
  wait_on(w, FUTEX_WAIT_PRIVATE, expected, timeout);
}

void conc_sys_wake(conc_word *w, bool all) {
  (void)wake_up(w, FUTEX_WAKE_PRIVATE, all);
}

void conc_sys_wait_shared(conc_word *w, uint32_t expected, int64_t timeout) {
  wait_on(w, FUTEX_WAIT, expected, timeout);
}

bool conc_sys_wake_shared(conc_word *w, bool all) {
  return wake_up(w, FUTEX_WAKE, all) != 0;
}

int conc_unix_memory_file(void) {
  int fd = memfd_create("conc", MFD_CLOEXEC);
  return fd < 0 && errno == ENOSYS ? conc_unix_unnamed() : fd;
}

/* What is not there yet can be mapped. */
int conc_unix_reserve(int fd, size_t size) {
  (void)fd;
  (void)size;
  return 0;
}

int conc_unix_allocate(int fd, size_t from, size_t size) {
  int st;
  do
    st = posix_fallocate(fd, (off_t)from, (off_t)size);
  while (st == EINTR);
  return st;
}

uint64_t conc_sys_tid(void) { return (uint64_t)syscall(SYS_gettid); }

void conc_sys_name_thread(const char *name) {
  char cut[16]; /* the kernel's limit, with the closing zero */
  (void)snprintf(cut, sizeof cut, "%s", name);
  (void)prctl(PR_SET_NAME, cut, 0, 0, 0);
}

/* Read a whole small file; false when there is none. */
static bool slurp(const char *path, char *text, size_t size) {
  FILE *f = fopen(path, "re");
  if (f == NULL)
    return false;
  size_t n = fread(text, 1, size - 1, f);
  text[n] = '\0';
  fclose(f);
  return n > 0;
}

static double ratio(const char *quota, const char *period) {
  double q = atof(quota), p = atof(period);
  return q > 0 && p > 0 ? q / p : 0;
}

/* Processors granted by the control group (version 2, then 1); 0: no limit. */
static double quota(void) {
  char text[256], period[64];
  if (slurp("/sys/fs/cgroup/cpu.max", text, sizeof text)) {
    char *blank = strchr(text, ' ');
    return blank == NULL ? 0 : ratio(text, blank + 1);
  }
  if (slurp("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text) &&
      slurp("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
    return ratio(text, period);
  return 0;
}

unsigned conc_sys_cpus(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    n = CPU_COUNT(&set);
  double granted = quota();
  if (granted > 0 && granted < (double)n)
    n = (long)granted + ((double)(long)granted < granted);
  return n < 1 ? 1 : (unsigned)n;
}

void conc_sys_fence_all(void) {
  static conc_word registered;
  atomic_thread_fence(memory_order_seq_cst);
#ifdef SYS_membarrier
  enum { EXPEDITED = 1 << 3, REGISTER = 1 << 4 }; /* linux/membarrier.h */
  if (atomic_load(&registered) == 0) {
    (void)syscall(SYS_membarrier, REGISTER, 0, 0);
    atomic_store(&registered, 1);
  }
  (void)syscall(SYS_membarrier, EXPEDITED, 0, 0);
#endif
}

bool conc_sys_abstract(void) { return true; }
