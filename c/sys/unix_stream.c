#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/stream.h"
#include "sys/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* No program inherits it, no call on it waits, no signal comes from it. */
static apr_status_t adopt(int fd, conc_handle *out) {
  fd = conc_unix_lift(fd);
  if (fd < 0)
    return errno;
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
#ifdef SO_NOSIGPIPE
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  *out = fd;
  return APR_SUCCESS;
}

static apr_status_t new_socket(int family, conc_handle *out) {
#ifdef SOCK_CLOEXEC
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
  int fd = socket(family, SOCK_STREAM, 0);
#endif
  return fd < 0 ? errno : adopt(fd, out);
}

/* Messages are whole when they are sent: nothing is gained by holding back. */
static void be_prompt(conc_handle h) {
  int on = 1;
  (void)setsockopt((int)h, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* ---- Addresses ---- */

union name {
  struct sockaddr any;
  struct sockaddr_un local;
  struct sockaddr_storage room;
};

static apr_status_t local_name(const char *path, union name *name,
                               socklen_t *size) {
  memset(name, 0, sizeof *name);
  name->local.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof name->local.sun_path)
    return APR_ENAMETOOLONG;
  memcpy(name->local.sun_path, path, strlen(path) + 1);
  *size = sizeof name->local;
  if (path[0] == '@' && conc_sys_abstract()) {
    name->local.sun_path[0] = '\0';
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  }
  return APR_SUCCESS;
}

/* The n-th address of a host; APR_NOTFOUND. */
static apr_status_t host_name(const conc_address *a, unsigned n, int flags,
                              union name *name, socklen_t *size) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
  struct addrinfo *list;
  char port[8];
  (void)snprintf(port, sizeof port, "%u", a->port);
  const char *host = *a->host == '\0' ? NULL : a->host;
  int found = getaddrinfo(host, port, &hints, &list);
  if (found != 0 && strcmp(a->host, "localhost") == 0) /* RFC 6761, 6.3 */
    found = getaddrinfo("127.0.0.1", port, &hints, &list);
  if (found != 0)
    return n == 0 ? CONC_BADNAME : APR_NOTFOUND;
  const struct addrinfo *it = list;
  while (it != NULL && n-- > 0)
    it = it->ai_next;
  apr_status_t st = APR_NOTFOUND;
  if (it != NULL && it->ai_addrlen <= sizeof *name) {
    memcpy(name, it->ai_addr, it->ai_addrlen);
    *size = it->ai_addrlen;
    st = APR_SUCCESS;
  }
  freeaddrinfo(list);
  return st;
}

static apr_status_t name_of(const conc_address *a, unsigned n, int flags,
                            union name *name, socklen_t *size) {
  if (a->path == NULL)
    return host_name(a, n, flags, name, size);
  return n == 0 ? local_name(a->path, name, size) : APR_NOTFOUND;
}

/* ---- Listening ---- */

static apr_status_t bind_and_listen(conc_handle h, const union name *name,
                                    socklen_t size, int backlog) {
  int fd = (int)h, on = 1;
  if (name->any.sa_family == AF_UNIX)
    (void)fchmod(fd, 0600); /* where the system takes the name's mode from */
  else
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &name->any, size) != 0)
    return errno;
  if (name->any.sa_family == AF_UNIX && name->local.sun_path[0] != '\0')
    (void)chmod(name->local.sun_path, 0600);
  return listen(fd, backlog > 0 ? backlog : SOMAXCONN) == 0 ? APR_SUCCESS
                                                            : errno;
}

apr_status_t conc_sys_listen(conc_handle *out, const conc_address *a,
                             int backlog) {
  union name name;
  socklen_t size = 0;
  apr_status_t st = name_of(a, 0, AI_PASSIVE, &name, &size);
  if (st == APR_SUCCESS)
    st = new_socket(name.any.sa_family, out);
  if (st != APR_SUCCESS)
    return st;
  st = bind_and_listen(*out, &name, size, backlog);
  if (st != APR_SUCCESS)
    conc_sys_close(*out);
  return st;
}

unsigned conc_sys_port(conc_handle h) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
  } name = {0};
  socklen_t size = sizeof name;
  if (getsockname((int)h, &name.any, &size) != 0)
    return 0;
  if (name.any.sa_family == AF_INET)
    return ntohs(name.v4.sin_port);
  return name.any.sa_family == AF_INET6 ? ntohs(name.v6.sin6_port) : 0;
}

bool conc_sys_peer(conc_handle h, char *text, size_t size) {
  union {
    struct sockaddr any;
    struct sockaddr_storage room;
  } name = {0};
  socklen_t len = sizeof name;
  char host[64], port[8];
  if (getpeername((int)h, &name.any, &len) != 0 ||
      (name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6) ||
      getnameinfo(&name.any, len, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return false;
  const char *format = name.any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
  int n = snprintf(text, size, format, host, port);
  return n > 0 && (size_t)n < size;
}

apr_status_t conc_sys_accept(conc_handle listener, conc_handle *out) {
  int fd;
  do /* no program that another thread starts meanwhile gets it */
#ifdef SOCK_CLOEXEC
    fd = accept4((int)listener, NULL, NULL, SOCK_CLOEXEC);
#else
    fd = accept((int)listener, NULL, NULL);
#endif
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? APR_EAGAIN : errno;
  apr_status_t st = adopt(fd, out);
  if (st == APR_SUCCESS)
    be_prompt(*out);
  return st;
}

/* ---- Connecting ---- */

apr_status_t conc_sys_connect(conc_handle *out, const conc_address *a,
                              unsigned n) {
  union name name;
  socklen_t size = 0;
  apr_status_t st = name_of(a, n, 0, &name, &size);
  if (st == APR_SUCCESS)
    st = new_socket(name.any.sa_family, out);
  if (st != APR_SUCCESS)
    return st;
  if (a->path == NULL)
    be_prompt(*out);
  if (connect((int)*out, &name.any, size) == 0)
    return APR_SUCCESS;
  if (errno == EINPROGRESS || errno == EINTR)
    return APR_EINPROGRESS;
  st = errno == EWOULDBLOCK ? APR_EAGAIN : errno;
  conc_sys_close(*out);
  return st;
}

apr_status_t conc_sys_connected(conc_handle h) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt((int)h, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    return errno;
  return error;
}

bool conc_sys_ready(conc_handle h, unsigned events) {
  struct pollfd p = {.fd = (int)h};
  p.events = (short)((events & CONC_READABLE ? POLLIN : 0) |
                     (events & CONC_WRITABLE ? POLLOUT : 0));
  return poll(&p, 1, 0) > 0;
}

void conc_sys_unlink(const char *path) {
  if (path[0] != '@' || !conc_sys_abstract())
    (void)unlink(path);
}
