/* What every Unix has in common. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/sys.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int64_t conc_sys_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void conc_sys_yield(void) { sched_yield(); }

uint64_t conc_sys_pid(void) { return (uint64_t)getpid(); }

/* Asking for the number of the process each time would be a system call. */
static _Atomic uint32_t forks;

static void forked(void) { atomic_fetch_add(&forks, 1); }

void conc_sys_at_fork(void (*child)(void)) {
  (void)pthread_atfork(NULL, NULL, child);
}

static void count_forks(void) { conc_sys_at_fork(forked); }

uint32_t conc_sys_forks(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, count_forks);
  return atomic_load(&forks);
}

_Static_assert(sizeof(sigset_t) <= sizeof(struct conc_sys_mask),
               "a signal set fits in conc_sys_mask");

void conc_sys_mask_signals(struct conc_sys_mask *old) {
  sigset_t all, was;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  memcpy(old->u.bytes, &was, sizeof was);
}

void conc_sys_unmask_signals(const struct conc_sys_mask *old) {
  sigset_t was;
  memcpy(&was, old->u.bytes, sizeof was);
  pthread_sigmask(SIG_SETMASK, &was, NULL);
}

#ifndef RTLD_NODELETE
#define RTLD_NODELETE 0 /* opened once too often has the same effect */
#endif
#ifndef RTLD_NOLOAD
#define RTLD_NOLOAD 0
#endif

/*
 * lua_close unloads every C library that its state loaded.  A thread that
 * outlives the state would then run unmapped code, so the module is opened
 * once more with a flag that makes the mapping permanent.
 */
void conc_sys_pin(void) {
  static const char here = 0;
  Dl_info info;
  if (dladdr(&here, &info) != 0 && info.dli_fname != NULL)
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void conc_sys_large(void *p, size_t size) {
#ifdef MADV_HUGEPAGE
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1);
  uintptr_t to = ((uintptr_t)p + size) & ~(page - 1);
  if (from < to)
    (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
  (void)p;
  (void)size;
#endif
}

/* Does the code at p belong to the main program, not to a library? */
static bool in_program(const void *p) {
#if defined(__linux__)
  Dl_info its, ours;
  return dladdr(p, &its) != 0 &&
         dladdr((void *)getauxval(AT_ENTRY), &ours) != 0 &&
         its.dli_fbase == ours.dli_fbase;
#else
  (void)p;
  return false;
#endif
}

static bool about_crashes(int sig) {
  static const int list[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                             SIGABRT, SIGTRAP, SIGSYS};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (list[i] == sig)
      return true;
  return false;
}

bool conc_sys_handles_signals(void) {
  enum { MOST = 65 };
  for (int sig = 1; sig < MOST; sig++) {
    struct sigaction sa;
    if (about_crashes(sig) || sigaction(sig, NULL, &sa) != 0 ||
        sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN)
      continue;
    void *code;
    memcpy(&code, &sa.sa_handler, sizeof code);
    if (sig != SIGINT || !in_program(code))
      return true;
  }
  return false;
}
bool conc_sys_stderr_is_terminal(void) { return isatty(STDERR_FILENO) == 1; }
