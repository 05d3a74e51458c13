/*
 * Shared memory on Unix: a nameless file, mapped.  Its descriptor is what
 * children inherit.  Its bytes are what processes claim, by record locks: the
 * kernel drops those when the process ends, and tells others who ask.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/unix.h"

/* ---- Files ---- */

/* A name that nobody guesses in time, gone before anybody could use it. */
int conc_unix_unnamed(void) {
  for (unsigned i = 0; i < 100; i++) {
    char name[30]; /* macOS allows 31 bytes */
    (void)snprintf(name, sizeof name, "/conc.%lx.%x", (long)getpid(),
                   (unsigned)conc_sys_now() + i);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
      (void)shm_unlink(name);
      return fd; /* shm_open sets close-on-exec */
    }
    if (errno != EEXIST)
      return -1;
  }
  return -1;
}

static apr_status_t map(conc_segment *s, int fd, size_t size) {
  int flags = MAP_SHARED;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (p == MAP_FAILED)
    return errno;
  *s = (conc_segment){.base = p, .size = size, .handle = fd};
  return APR_SUCCESS;
}

/* ---- Segments ---- */

apr_status_t conc_sys_segment_new(conc_segment *s, size_t size) {
  int fd = conc_unix_lift(conc_unix_memory_file());
  if (fd < 0)
    return errno;
  apr_status_t st = conc_unix_reserve(fd, size);
  if (st == APR_SUCCESS)
    st = map(s, fd, size);
  if (st != APR_SUCCESS)
    close(fd);
  return st;
}

apr_status_t conc_sys_segment_open(conc_segment *s, intptr_t handle,
                                   size_t size) {
  int fd = (int)handle;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return errno;
  return map(s, fd, size);
}

apr_status_t conc_sys_segment_commit(const conc_segment *s, size_t from,
                                     size_t to) {
  return conc_unix_allocate((int)s->handle, from, to - from);
}

void conc_sys_segment_unmap(conc_segment *s) {
  (void)munmap(s->base, s->size);
  s->base = NULL;
}

void conc_sys_segment_close(conc_segment *s) {
  if (s->base != NULL)
    conc_sys_segment_unmap(s);
  (void)close((int)s->handle);
  s->handle = -1;
}

/* A quarter of the machine's memory, within reason. */
size_t conc_sys_segment_most(void) {
  const uint64_t most = (uint64_t)SIZE_MAX / 16 < (uint64_t)16 << 30
                          ? (uint64_t)SIZE_MAX / 16
                          : (uint64_t)16 << 30;
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  uint64_t quarter =
    pages > 0 && page > 0 ? (uint64_t)pages / 4 * (uint64_t)page : most;
  return (size_t)(quarter < most ? quarter : most);
}

/* ---- Claims ---- */

static int record(const conc_segment *s, int command, short type, unsigned n,
                  short *found) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
  lock.l_start = (off_t)n;
  lock.l_len = 1;
  int st;
  do
    st = fcntl((int)s->handle, command, &lock);
  while (st != 0 && errno == EINTR);
  if (found != NULL)
    *found = lock.l_type;
  return st;
}

bool conc_sys_claim(const conc_segment *s, unsigned n) {
  return record(s, F_SETLK, F_WRLCK, n, NULL) == 0;
}

/* When the kernel does not say, it is not dead. */
bool conc_sys_claimed(const conc_segment *s, unsigned n) {
  short found = F_WRLCK;
  return record(s, F_GETLK, F_WRLCK, n, &found) != 0 || found != F_UNLCK;
}

void conc_sys_die(void) {
  (void)kill(getpid(), SIGKILL);
  for (;;)
    (void)pause();
}
