#ifndef FAMILY_H
#define FAMILY_H

/*
 * Processes for the specs of c/ipc: this program started once more, with a
 * word that says what to do, the heap's handle and two numbers.
 */

#include <string.h>

#include "crew.h"
#include "ipc/heap.h"
#include "sys/process.h"

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

/* What programs are run by where the processor is another one: an emulator. */
static inline const char *family_emulator(void) {
  return getenv("CONC_EMULATOR");
}

/* Wine 8 fails to start one now and then: ERROR_INTERNAL_ERROR. */
static inline bool family_in_vain(apr_status_t st) {
  enum { INTERNAL_ERROR = 1359 };
  return st == APR_OS_START_SYSERR + INTERNAL_ERROR;
}

/* Start "what handle a b" in a process of its own; returns its number. */
static inline uint64_t family_start(const char *what, uint64_t a, uint64_t b) {
  char program[4096], handle[24], x[24], y[24];
  const conc_handle heap = conc_heap_handle();
  const char *by = family_emulator();
  const char *argv[] = {by, program, what, handle, x, y, NULL};
  const conc_sys_spawn_conf conf = {.path = by != NULL ? by : program,
                                    .argv = by != NULL ? argv : argv + 1,
                                    .inherit = &heap,
                                    .ninherit = 1,
                                    .err = CONC_NO_HANDLE};
  uint64_t pid;
  (void)snprintf(handle, sizeof handle, "%lld", (long long)heap);
  (void)snprintf(x, sizeof x, "%llu", (unsigned long long)a);
  (void)snprintf(y, sizeof y, "%llu", (unsigned long long)b);
  CHECK(conc_sys_program(program, sizeof program) == APR_SUCCESS);
  apr_status_t st = conc_sys_spawn(&pid, &conf);
  for (int i = 0; i < 3 && family_in_vain(st); i++)
    st = conc_sys_spawn(&pid, &conf);
  CHECK(st == APR_SUCCESS);
  return pid;
}

/* Does it take long to start a process, longer than a moment? */
static inline bool family_slow(void) {
#ifdef _WIN32
  return true;
#else
  return family_emulator() != NULL;
#endif
}

/* The step of which to die next: every one, or if that takes long, some. */
static inline uint64_t family_next(uint64_t step) {
  uint64_t skipped = (uint64_t)conc_sys_now() / 100 % 20;
  return step + 1 + (family_slow() ? skipped : 0);
}

/* Let them live for a while: up to that long, or until they have begun. */
static inline void family_pause(uint32_t microseconds) {
  enum { LONG = 20 };
  conc_time ns = (conc_time)(1 + rnd(microseconds)) * MICRO;
  conc_sys_wait(&(conc_word){0}, 0, family_slow() ? ns * LONG : ns);
}

/* Also one that has ended. */
static inline void family_kill(uint64_t pid) {
  CHECK(conc_sys_kill(pid, CONC_KILL) == APR_SUCCESS);
}

/* Wait for its end and bury it. */
static inline conc_sys_end family_wait(uint64_t pid) {
  conc_sys_end end = conc_sys_reap(pid);
  conc_heap_bury();
  return end;
}

static inline void family_good(uint64_t pid) {
  conc_sys_end end = family_wait(pid);
  CHECK(end.signal == 0 && end.code == 0);
}

static inline bool family_killed(conc_sys_end end) {
  CHECK(end.signal == 0 ? end.code == 0 : end.signal == 9);
  return end.signal != 0;
}

struct family_role {
  const char *what;
  void (*play)(uint64_t a, uint64_t b);
};

/* In main: plays the role this process was started for and exits, if any. */
static inline void family_main(int argc, char **argv,
                               const struct family_role *roles) {
  if (argc != 5)
    return;
  watchdog(WATCHDOG);
  CHECK(conc_heap_attach((intptr_t)atoll(argv[2])) == APR_SUCCESS);
  for (; roles->what != NULL; roles++)
    if (strcmp(roles->what, argv[1]) == 0) {
      roles->play(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
      exit(0);
    }
  CHECK(!"an unknown role");
}

#endif
