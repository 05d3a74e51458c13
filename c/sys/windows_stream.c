/*
 * Stream sockets on Windows: as unix_stream.c, with Winsock's words for it.
 * Unix sockets are there from Windows 10 on, for programs, not in Wine.
 */

#include "sys/windows.h"

#include "sys/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Errors of connecting that callers ask for by APR's names. */
static apr_status_t why(int error) {
  switch (error) {
  case 0: return APR_SUCCESS;
  case WSAEWOULDBLOCK: return APR_EAGAIN;
  default: return APR_FROM_OS_ERROR(error);
  }
}

/* No program inherits it, and no call on it waits. */
static void set_up(SOCKET s) {
  u_long nonblocking = 1;
  (void)SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
  (void)ioctlsocket(s, (long)FIONBIO, &nonblocking);
}

static apr_status_t new_socket(int family, conc_handle *out) {
  apr_status_t st = conc_windows_sockets();
  if (st != APR_SUCCESS)
    return st;
  SOCKET s = WSASocketW(family, SOCK_STREAM, 0, NULL, 0,
                        WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (s == INVALID_SOCKET)
    return why(WSAGetLastError());
  set_up(s);
  *out = (conc_handle)s;
  return APR_SUCCESS;
}

/* Messages are whole when they are sent: nothing is gained by holding back. */
static void be_prompt(SOCKET s) {
  BOOL on = TRUE;
  (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
}

/* ---- Addresses ---- */

/* As in afunix.h, which older headers lack. */
struct local_name {
  ADDRESS_FAMILY family;
  char path[108];
};

union name {
  struct sockaddr any;
  struct local_name local;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_storage room;
};

static apr_status_t local_name(const char *path, union name *name, int *size) {
  memset(name, 0, sizeof *name);
  name->local.family = AF_UNIX;
  if (strlen(path) >= sizeof name->local.path)
    return APR_ENAMETOOLONG;
  memcpy(name->local.path, path, strlen(path) + 1);
  *size = sizeof name->local;
  return APR_SUCCESS;
}

/* The n-th address of a host; APR_NOTFOUND. */
static apr_status_t host_name(const conc_address *a, unsigned n, int flags,
                              union name *name, int *size) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
  struct addrinfo *list;
  char port[8];
  (void)snprintf(port, sizeof port, "%u", a->port);
  if (getaddrinfo(*a->host == '\0' ? NULL : a->host, port, &hints, &list) != 0)
    return n == 0 ? CONC_BADNAME : APR_NOTFOUND;
  const struct addrinfo *it = list;
  while (it != NULL && n-- > 0)
    it = it->ai_next;
  apr_status_t st = APR_NOTFOUND;
  if (it != NULL && it->ai_addrlen <= sizeof *name) {
    memcpy(name, it->ai_addr, it->ai_addrlen);
    *size = (int)it->ai_addrlen;
    st = APR_SUCCESS;
  }
  freeaddrinfo(list);
  return st;
}

static apr_status_t name_of(const conc_address *a, unsigned n, int flags,
                            union name *name, int *size) {
  apr_status_t st = conc_windows_sockets();
  if (st != APR_SUCCESS)
    return st;
  if (a->path == NULL)
    return host_name(a, n, flags, name, size);
  return n == 0 ? local_name(a->path, name, size) : APR_NOTFOUND;
}

/* ---- Listening ---- */

/* SO_REUSEADDR would let others take the port over here. */
apr_status_t conc_sys_listen(conc_handle *out, const conc_address *a,
                             int backlog) {
  union name name;
  int size = 0;
  apr_status_t st = name_of(a, 0, AI_PASSIVE, &name, &size);
  if (st == APR_SUCCESS)
    st = new_socket(name.any.sa_family, out);
  if (st != APR_SUCCESS)
    return st;
  SOCKET s = (SOCKET)*out;
  if (bind(s, &name.any, size) != 0 ||
      listen(s, backlog > 0 ? backlog : SOMAXCONN) != 0) {
    st = why(WSAGetLastError());
    conc_sys_close(*out);
  }
  return st;
}

unsigned conc_sys_port(conc_handle h) {
  union name name;
  int size = sizeof name;
  if (getsockname(conc_windows_socket(h), &name.any, &size) != 0)
    return 0;
  if (name.any.sa_family == AF_INET)
    return ntohs(name.v4.sin_port);
  return name.any.sa_family == AF_INET6 ? ntohs(name.v6.sin6_port) : 0;
}

bool conc_sys_peer(conc_handle h, char *text, size_t size) {
  union name name;
  int len = sizeof name;
  char host[64], port[8];
  if (getpeername(conc_windows_socket(h), &name.any, &len) != 0 ||
      (name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6) ||
      getnameinfo(&name.any, len, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return false;
  const char *format = name.any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
  int n = snprintf(text, size, format, host, port);
  return n > 0 && (size_t)n < size;
}

apr_status_t conc_sys_accept(conc_handle listener, conc_handle *out) {
  SOCKET s;
  do
    s = accept(conc_windows_socket(listener), NULL, NULL);
  while (s == INVALID_SOCKET && WSAGetLastError() == WSAECONNRESET);
  if (s == INVALID_SOCKET)
    return why(WSAGetLastError());
  set_up(s);
  be_prompt(s);
  *out = (conc_handle)s;
  return APR_SUCCESS;
}

/* ---- Connecting ---- */

apr_status_t conc_sys_connect(conc_handle *out, const conc_address *a,
                              unsigned n) {
  union name name;
  int size = 0;
  apr_status_t st = name_of(a, n, 0, &name, &size);
  if (st == APR_SUCCESS)
    st = new_socket(name.any.sa_family, out);
  if (st != APR_SUCCESS)
    return st;
  if (a->path == NULL)
    be_prompt((SOCKET)*out);
  if (connect((SOCKET)*out, &name.any, size) == 0)
    return APR_SUCCESS;
  if (WSAGetLastError() == WSAEWOULDBLOCK) {
    conc_windows_note_connecting(*out);
    return APR_EINPROGRESS;
  }
  st = why(WSAGetLastError());
  conc_sys_close(*out);
  return st;
}

apr_status_t conc_sys_connected(conc_handle h) {
  int error = 0, size = sizeof error;
  conc_windows_forget(h);
  if (getsockopt(conc_windows_socket(h), SOL_SOCKET, SO_ERROR, (char *)&error,
                 &size) != 0)
    error = WSAGetLastError();
  return why(error);
}

bool conc_sys_ready(conc_handle h, unsigned events) {
  WSAPOLLFD p = {.fd = conc_windows_socket(h)};
  p.events = (SHORT)((events & CONC_READABLE ? POLLRDNORM : 0) |
                     (events & CONC_WRITABLE ? POLLWRNORM : 0));
  return conc_windows_hung(h) || WSAPoll(&p, 1, 0) > 0;
}

void conc_sys_unlink(const char *path) {
  wchar_t *wide = conc_windows_wide(path);
  if (wide != NULL)
    (void)DeleteFileW(wide);
  free(wide);
}

bool conc_sys_abstract(void) { return false; }
