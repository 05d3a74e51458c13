/*
 * Starting a program.  The child of vfork borrows our memory until it has
 * become the program, while other threads run on: it makes system calls and
 * nothing else, and every signal is blocked, so that no handler of ours runs
 * in it.  An error comes back through a pipe that the program does not get
 * (under some tools vfork is fork, and memory is not shared).
 *
 * apr_proc_create runs the clean-ups of every pool in its child: that walks a
 * tree that other threads are changing.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#endif

#ifdef __APPLE__ /* which has no such name in libraries */
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

/* All that the child needs, made before. */
struct plan {
  const conc_sys_spawn_conf *conf;
  int *inherit; /* ascending */
  sigset_t mask;
  int null;   /* /dev/null */
  int report; /* where an error goes */
  bool bound; /* to our main thread's end */
};

/* ---- In the child ---- */

static void forget_range(int from, int to) {
  if (from > to)
    return;
#ifdef SYS_close_range
  if (syscall(SYS_close_range, (unsigned)from, (unsigned)to,
              CLOSE_RANGE_CLOEXEC) == 0)
    return;
#endif
  struct rlimit r = {.rlim_cur = 1024};
  (void)getrlimit(RLIMIT_NOFILE, &r);
  int most = r.rlim_cur > 65536 ? 65536 : (int)r.rlim_cur;
  for (int fd = from; fd <= to && fd < most; fd++)
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Whatever a host or a library has open, the program gets what is named. */
static void set_descriptors(const struct plan *p) {
  int next = 3;
  for (size_t i = 0; i < p->conf->ninherit; i++) {
    forget_range(next, p->inherit[i] - 1);
    (void)fcntl(p->inherit[i], F_SETFD, 0);
    next = p->inherit[i] + 1;
  }
  forget_range(next, 0x7fffffff);
}

static bool set_standard(const struct plan *p) {
  const conc_sys_spawn_conf *c = p->conf;
  int missing = c->quiet ? p->null : -1;
  int err = c->err == CONC_NO_HANDLE ? missing : (int)c->err;
  return dup2(p->null, 0) == 0 && (missing < 0 || dup2(missing, 1) == 1) &&
         (err < 0 || dup2(err, 2) == 2);
}

/*
 * Nothing is caught or ignored, but that a hang-up ignored for us (nohup)
 * stays so; and in a group that is not the terminal's, writing there must not
 * stop it.
 */
static void set_signals(const struct plan *p) {
  struct sigaction plain = {.sa_handler = SIG_DFL}, now;
  for (int s = 1; s < NSIG; s++) {
    if (sigaction(s, NULL, &now) != 0)
      continue;
    if (s == SIGHUP && now.sa_handler == SIG_IGN)
      continue;
    if (now.sa_handler != SIG_DFL)
      (void)sigaction(s, &plain, NULL);
  }
  plain.sa_handler = SIG_IGN;
  (void)sigaction(SIGTTOU, &plain, NULL);
  (void)sigprocmask(SIG_SETMASK, &p->mask, NULL);
}

static _Noreturn void become(const struct plan *p) {
#ifdef __linux__
  if (p->bound)
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  (void)setpgid(0, 0);
  if (set_standard(p)) {
    set_descriptors(p);
    set_signals(p);
    (void)execve(p->conf->path, (char *const *)(uintptr_t)p->conf->argv,
                 environ);
  }
  int error = errno;
  (void)!write(p->report, &error, sizeof error);
  _exit(127);
}

/* vfork returns twice in this frame: nothing here changes in between. */
static __attribute__((noinline)) pid_t start(const struct plan *p) {
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#endif
  pid_t pid = vfork();
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
  if (pid == 0)
    become(p);
  return pid;
}

/* ---- In the parent ---- */

static int ascending(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

static int *sorted(const conc_sys_spawn_conf *c) {
  int *list = malloc((c->ninherit + 1) * sizeof *list);
  if (list == NULL)
    return NULL;
  for (size_t i = 0; i < c->ninherit; i++)
    list[i] = (int)c->inherit[i];
  qsort(list, c->ninherit, sizeof *list, ascending);
  return list;
}

static bool in_main_thread(void) {
#ifdef __linux__
  return syscall(SYS_gettid) == getpid();
#else
  return false;
#endif
}

/* Zero when the pipe ends without an error in it. */
static int read_report(int fd) {
  int error = 0;
  ssize_t n;
  do
    n = read(fd, &error, sizeof error);
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof error ? error : 0;
}

static apr_status_t launch(struct plan *p, uint64_t *pid) {
  struct conc_sys_mask mask;
  int ends[2];
  apr_status_t st = conc_unix_pipe(ends);
  if (st != APR_SUCCESS)
    return st;
  p->report = ends[1];
  sigemptyset(&p->mask);
  conc_sys_mask_signals(&mask);
  pid_t child = start(p);
  int error = child < 0 ? errno : 0;
  conc_sys_unmask_signals(&mask);
  close(ends[1]);
  if (child > 0 && (error = read_report(ends[0])) != 0)
    (void)conc_sys_reap((uint64_t)child);
  close(ends[0]);
  *pid = (uint64_t)child;
  return error;
}

apr_status_t conc_sys_spawn(uint64_t *pid, const conc_sys_spawn_conf *conf) {
  struct plan p = {.conf = conf, .bound = !conf->outlives && in_main_thread()};
  apr_status_t st = APR_ENOMEM;
  p.inherit = sorted(conf);
  if (p.inherit != NULL) {
    p.null = conc_unix_lift(open("/dev/null", O_RDWR | O_CLOEXEC));
    st = p.null < 0 ? errno : launch(&p, pid);
    if (p.null >= 0)
      close(p.null);
  }
  free(p.inherit);
  return st;
}

/*
 * Said of a parent that is dead by now, it would be untrue: but then the parent
 * is another one.
 */
bool conc_sys_dies_with(uint64_t parent) {
#ifdef __linux__
  int number = 0;
  return prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGKILL &&
         getppid() == (pid_t)parent;
#else
  (void)parent;
  return false;
#endif
}

/* ---- Ends ---- */

/* The kernel gives an orphan another parent after it has closed the files of the
   old one.  Five seconds, in case it never does. */
void conc_sys_outlive(uint64_t parent) {
  const struct timespec pause = {.tv_nsec = 1000000};
  for (int i = 0; i < 5000 && (uint64_t)getppid() == parent; i++)
    (void)nanosleep(&pause, NULL);
}

apr_status_t conc_sys_kill(uint64_t pid, conc_sys_signal s) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGKILL};
  return kill((pid_t)pid, numbers[s]) == 0 ? APR_SUCCESS : errno;
}

/* Somebody else may have reaped it (a host that waits for anybody). */
conc_sys_end conc_sys_reap(uint64_t pid) {
  int status = 0;
  pid_t got;
  do
    got = waitpid((pid_t)pid, &status, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return (conc_sys_end){.code = 255};
  if (WIFSIGNALED(status))
    return (conc_sys_end){.signal = WTERMSIG(status)};
  return (conc_sys_end){.code = WEXITSTATUS(status)};
}

const char *conc_sys_signal_name(int number) {
  static const struct {
    int number;
    const char *name;
  } names[] = {{SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"},
               {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"},
               {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"},
               {SIGUSR1, "SIGUSR1"}, {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
               {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"},
               {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGSYS, "SIGSYS"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == number)
      return names[i].name;
  return NULL;
}

void conc_sys_end_now(int code) { _exit(code); }
