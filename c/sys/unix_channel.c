/* Channels are pairs of Unix sockets. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#elif defined(__FreeBSD__) || defined(__DragonFly__) || defined(__NetBSD__)
#include <sys/param.h>
#include <sys/sysctl.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0
#endif

int conc_unix_lift(int fd) {
  if (fd < 0 || fd > 2)
    return fd;
  int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int error = errno;
  close(fd);
  errno = error;
  return higher;
}

/* Both ends, closed again when one cannot be lifted. */
static apr_status_t lift_both(int ends[2]) {
  for (int i = 0; i < 2; i++)
    ends[i] = conc_unix_lift(ends[i]);
  if (ends[0] >= 0 && ends[1] >= 0)
    return APR_SUCCESS;
  int error = errno;
  for (int i = 0; i < 2; i++)
    if (ends[i] >= 0)
      close(ends[i]);
  return error;
}

apr_status_t conc_unix_pipe(int ends[2]) {
#ifdef __APPLE__
  if (pipe(ends) != 0)
    return errno;
  (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#else
  if (pipe2(ends, O_CLOEXEC) != 0)
    return errno;
#endif
  return lift_both(ends);
}

apr_status_t conc_sys_channel(conc_handle ends[2]) {
  int fd[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
    return errno;
  apr_status_t st = lift_both(fd);
  if (st != APR_SUCCESS)
    return st;
  for (int i = 0; i < 2; i++) {
    ends[i] = fd[i];
    (void)fcntl(fd[i], F_SETFD, FD_CLOEXEC);
#ifdef SO_NOSIGPIPE
    int on = 1;
    (void)setsockopt(fd[i], SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  }
  return APR_SUCCESS;
}

apr_status_t conc_sys_error_pipe(conc_handle ends[2]) {
  return conc_sys_channel(ends);
}

void conc_sys_close(conc_handle h) {
  if (h != CONC_NO_HANDLE)
    (void)close((int)h);
}

void conc_sys_hang_up(conc_handle h) { (void)shutdown((int)h, SHUT_RDWR); }

void conc_sys_private(conc_handle h) {
  (void)fcntl((int)h, F_SETFD, FD_CLOEXEC);
}

apr_status_t conc_sys_copy(conc_handle h, conc_handle *out) {
  *out = fcntl((int)h, F_DUPFD_CLOEXEC, 3);
  return *out < 0 ? errno : APR_SUCCESS;
}

static apr_status_t why(void) {
  switch (errno) {
  case EAGAIN:
#if EWOULDBLOCK != EAGAIN
  case EWOULDBLOCK:
#endif
    return APR_EAGAIN;
  case EPIPE:
  case ECONNRESET: return APR_EOF;
  default: return errno;
  }
}

apr_status_t conc_sys_read(conc_handle h, void *p, size_t *n) {
  ssize_t got;
  do
    got = recv((int)h, p, *n, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return why();
  *n = (size_t)got;
  return got == 0 ? APR_EOF : APR_SUCCESS;
}

apr_status_t conc_sys_write(conc_handle h, const void *p, size_t *n) {
  ssize_t put;
  do
    put = send((int)h, p, *n, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (put < 0 && errno == EINTR);
  if (put < 0)
    return why();
  *n = (size_t)put;
  return APR_SUCCESS;
}

/* A pipe that is writable takes PIPE_BUF bytes at once. */
void conc_sys_write_error(const char *p, size_t n) {
  struct pollfd asked = {.fd = 2, .events = POLLOUT};
  while (n > 0 && poll(&asked, 1, 0) == 1 && (asked.revents & POLLOUT) != 0) {
    ssize_t put = write(2, p, n < 512 ? n : 512);
    if (put < 0 && errno != EINTR)
      return;
    p += put < 0 ? 0 : put;
    n -= put < 0 ? 0 : (size_t)put;
  }
}

void conc_sys_await(conc_handle h, unsigned events) {
  struct pollfd p = {.fd = (int)h};
  p.events = (short)((events & CONC_READABLE ? POLLIN : 0) |
                     (events & CONC_WRITABLE ? POLLOUT : 0));
  while (poll(&p, 1, -1) < 0 && errno == EINTR)
    ;
}

/* ---- Where we are ---- */

static apr_status_t copy(char *path, size_t size, const char *from) {
  if (strlen(from) >= size)
    return APR_ENOSPC;
  memcpy(path, from, strlen(from) + 1);
  return APR_SUCCESS;
}

apr_status_t conc_sys_program(char *path, size_t size) {
#if defined(__APPLE__)
  uint32_t n = (uint32_t)size;
  return _NSGetExecutablePath(path, &n) == 0 ? APR_SUCCESS : APR_ENOSPC;
#elif defined(__FreeBSD__) || defined(__DragonFly__)
  int mib[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
  return sysctl(mib, 4, path, &size, NULL, 0) == 0 ? APR_SUCCESS : errno;
#elif defined(__NetBSD__)
  int mib[] = {CTL_KERN, KERN_PROC_ARGS, -1, KERN_PROC_PATHNAME};
  return sysctl(mib, 4, path, &size, NULL, 0) == 0 ? APR_SUCCESS : errno;
#else
  ssize_t n = readlink("/proc/self/exe", path, size - 1);
  if (n <= 0 || (size_t)n >= size - 1)
    return APR_ENOENT;
  path[n] = '\0';
  return APR_SUCCESS;
#endif
}

apr_status_t conc_sys_module(char *path, size_t size) {
  static const char here = 0;
  Dl_info info;
  if (dladdr(&here, &info) == 0 || info.dli_fname == NULL)
    return APR_ENOENT;
  return copy(path, size, info.dli_fname);
}
