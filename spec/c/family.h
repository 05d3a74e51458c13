#ifndef FAMILY_H
#define FAMILY_H

/*
 * Processes for the specs of c/ipc: this program started once more, with a
 * word that says what to do, the heap's handle and two numbers.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "crew.h"
#include "ipc/heap.h"

static const char *family_program;

/* Random numbers of the main thread. */
static uint64_t seed = 88172645463325252u;

static inline uint32_t rnd(uint32_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 11) % n;
}

/* Is all given back that the heap has lent since then? */
static inline bool same_usage(conc_heap_usage a) {
  conc_heap_usage b = conc_heap_used();
  return a.bytes == b.bytes && a.blocks == b.blocks;
}

/* Start "what handle a b" in a process of its own; returns its pid. */
static inline pid_t family_start(const char *what, uint64_t a, uint64_t b) {
  char handle[24], x[24], y[24];
  int fd = (int)conc_heap_handle();
  (void)snprintf(handle, sizeof handle, "%d", fd);
  (void)snprintf(x, sizeof x, "%llu", (unsigned long long)a);
  (void)snprintf(y, sizeof y, "%llu", (unsigned long long)b);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    (void)fcntl(fd, F_SETFD, 0);
    (void)alarm(WATCHDOG);
    (void)execl(family_program, family_program, what, handle, x, y,
                (char *)NULL);
    _exit(127);
  }
  return pid;
}

/* Wait for its end and bury it; returns what waitpid says. */
static inline int family_wait(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    CHECK(errno == EINTR);
  conc_heap_bury();
  return status;
}

static inline void family_good(pid_t pid) {
  int status = family_wait(pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline bool family_killed(int status) {
  CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
                            : WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

struct family_role {
  const char *what;
  void (*play)(uint64_t a, uint64_t b);
};

/* In main: plays the role this process was started for and exits, if any. */
static inline void family_main(int argc, char **argv,
                               const struct family_role *roles) {
  family_program = argv[0];
  if (argc != 5)
    return;
  CHECK(conc_heap_attach(atoi(argv[2])) == APR_SUCCESS);
  for (; roles->what != NULL; roles++)
    if (strcmp(roles->what, argv[1]) == 0) {
      roles->play(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
      exit(0);
    }
  CHECK(!"an unknown role");
}

#endif
