/*
 * Channels are pairs of sockets, connected over the loopback: the one thing on
 * Windows that goes both ways, is inherited, can be watched with many others and
 * tells when the other side is gone.
 */

#include "sys/windows.h"

#include "sys/process.h"

#include <stdlib.h>

/* Counted by the system, so that once more does no harm. */
apr_status_t conc_windows_sockets(void) {
  static conc_word ready;
  WSADATA data;
  if (atomic_load(&ready) != 0)
    return APR_SUCCESS;
  int error = WSAStartup(MAKEWORD(2, 2), &data);
  if (error != 0)
    return APR_FROM_OS_ERROR(error);
  atomic_store(&ready, 1);
  return APR_SUCCESS;
}

static SOCKET new_socket(void) {
  return WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                    WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

static bool address(SOCKET s, bool peer, struct sockaddr_in *a) {
  int size = sizeof *a;
  return (peer ? getpeername(s, (struct sockaddr *)a, &size)
               : getsockname(s, (struct sockaddr *)a, &size)) == 0;
}

/* A program that guesses the port may be faster than we are: not that one. */
static SOCKET accept_from(SOCKET listener, SOCKET ours) {
  struct sockaddr_in us, them;
  for (;;) {
    SOCKET s = accept(listener, NULL, NULL);
    if (s == INVALID_SOCKET)
      return s;
    if (address(ours, false, &us) && address(s, true, &them) &&
        us.sin_port == them.sin_port &&
        us.sin_addr.s_addr == them.sin_addr.s_addr)
      return s;
    (void)closesocket(s);
  }
}

static bool connect_pair(SOCKET listener, SOCKET pair[2]) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(listener, 1) != 0 || !address(listener, false, &at) ||
      connect(pair[0], (struct sockaddr *)&at, sizeof at) != 0)
    return false;
  pair[1] = accept_from(listener, pair[0]);
  return pair[1] != INVALID_SOCKET;
}

static void set_up(SOCKET s) {
  BOOL on = TRUE;
  u_long nonblocking = 1;
  (void)SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0);
  (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
  (void)ioctlsocket(s, (long)FIONBIO, &nonblocking);
}

apr_status_t conc_sys_channel(conc_handle ends[2]) {
  apr_status_t st = conc_windows_sockets();
  if (st != APR_SUCCESS)
    return st;
  SOCKET listener = new_socket(), pair[2] = {new_socket(), INVALID_SOCKET};
  if (listener == INVALID_SOCKET || pair[0] == INVALID_SOCKET ||
      !connect_pair(listener, pair)) {
    st = conc_windows_socket_error();
    conc_sys_close((conc_handle)pair[0]);
  }
  conc_sys_close((conc_handle)listener);
  for (int i = 0; i < 2 && st == APR_SUCCESS; i++) {
    set_up(pair[i]);
    ends[i] = (conc_handle)pair[i];
  }
  return st;
}

/* ---- Inherited sockets ---- */

/*
 * Wine knows only the sockets that a process has made itself.  One that it has
 * inherited is made again from itself, and remembered under its first number.
 */
enum { ADOPTED = 16 };

static struct {
  SRWLOCK lock;
  conc_word n;               /* [a] written under the lock */
  conc_handle from[ADOPTED]; /* [l] */
  SOCKET to[ADOPTED];        /* [l] */
} adopted = {.lock = SRWLOCK_INIT};

SOCKET conc_windows_socket(conc_handle h) {
  SOCKET s = (SOCKET)h;
  if (atomic_load(&adopted.n) == 0)
    return s;
  AcquireSRWLockShared(&adopted.lock);
  for (uint32_t i = 0; i < atomic_load(&adopted.n); i++)
    if (adopted.from[i] == h)
      s = adopted.to[i];
  ReleaseSRWLockShared(&adopted.lock);
  return s;
}

static bool remember_locked(conc_handle h, SOCKET s) {
  uint32_t n = atomic_load(&adopted.n);
  if (n == ADOPTED)
    return false;
  adopted.from[n] = h;
  adopted.to[n] = s;
  atomic_store(&adopted.n, n + 1);
  return true;
}

static SOCKET make_again(conc_handle h) {
  WSAPROTOCOL_INFOW info;
  if (WSADuplicateSocketW((SOCKET)h, GetCurrentProcessId(), &info) != 0)
    return INVALID_SOCKET;
  return WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO,
                    &info, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

static bool remembers_locked(conc_handle h) {
  for (uint32_t i = 0; i < atomic_load(&adopted.n); i++)
    if (adopted.from[i] == h)
      return true;
  return false;
}

static bool make_again_locked(conc_handle h) {
  SOCKET s = make_again(h);
  if (s == INVALID_SOCKET)
    return false;
  bool good = remember_locked(h, s);
  if (!good)
    (void)closesocket(s);
  return good;
}

/* After an error of 's': is it one that is cured now?  Perhaps by another
   thread. */
static bool adopt(conc_handle h, SOCKET s) {
  if (WSAGetLastError() != WSAENOTSOCK || s != (SOCKET)h)
    return false;
  AcquireSRWLockExclusive(&adopted.lock);
  bool good = remembers_locked(h) || make_again_locked(h);
  ReleaseSRWLockExclusive(&adopted.lock);
  return good;
}

static bool forget(conc_handle h, SOCKET *s) {
  bool found = false;
  AcquireSRWLockExclusive(&adopted.lock);
  uint32_t n = atomic_load(&adopted.n);
  for (uint32_t i = 0; i < n && !found; i++)
    if (adopted.from[i] == h) {
      *s = adopted.to[i];
      adopted.from[i] = adopted.from[n - 1];
      adopted.to[i] = adopted.to[n - 1];
      atomic_store(&adopted.n, n - 1);
      found = true;
    }
  ReleaseSRWLockExclusive(&adopted.lock);
  return found;
}

void conc_sys_close(conc_handle h) {
  SOCKET s = (SOCKET)h;
  if (h == CONC_NO_HANDLE)
    return;
  if (conc_windows_pipe_close(h))
    return;
  conc_windows_forget(h);
  if (atomic_load(&adopted.n) != 0 && forget(h, &s))
    (void)CloseHandle((HANDLE)h);
  (void)closesocket(s);
}

void conc_sys_private(conc_handle h) {
  (void)SetHandleInformation((HANDLE)h, HANDLE_FLAG_INHERIT, 0);
}

apr_status_t conc_sys_copy(conc_handle h, conc_handle *out) {
  SOCKET s = make_again((conc_handle)conc_windows_socket(h));
  if (s == INVALID_SOCKET)
    return conc_windows_socket_error();
  set_up(s);
  *out = (conc_handle)s;
  return APR_SUCCESS;
}

/* ---- Moving bytes ---- */

void conc_sys_hang_up(conc_handle h) {
  (void)shutdown(conc_windows_socket(h), SD_BOTH);
  conc_windows_note_hung(h);
}

/* A socket takes as much as it is given into the kernel's memory, so it is not
   given more. */
static int length(size_t n) {
  enum { MOST = 1 << 20 };
  return n > MOST ? MOST : (int)n;
}

/* In a child the sockets were set up by others, but not the library. */
apr_status_t conc_sys_read(conc_handle h, void *p, size_t *n) {
  int got;
  SOCKET s;
  if (conc_windows_is_pipe(h))
    return conc_windows_pipe_read(h, p, n);
  apr_status_t st = conc_windows_sockets();
  if (st != APR_SUCCESS)
    return st;
  do {
    s = conc_windows_socket(h);
    got = recv(s, p, length(*n), 0);
  } while (got < 0 && adopt(h, s));
  if (got < 0)
    return conc_windows_socket_error();
  *n = (size_t)got;
  return got == 0 ? APR_EOF : APR_SUCCESS;
}

apr_status_t conc_sys_write(conc_handle h, const void *p, size_t *n) {
  int put;
  SOCKET s;
  apr_status_t st = conc_windows_sockets();
  if (st != APR_SUCCESS)
    return st;
  do {
    s = conc_windows_socket(h);
    put = send(s, p, length(*n), 0);
  } while (put < 0 && adopt(h, s));
  if (put < 0)
    return conc_windows_socket_error();
  *n = (size_t)put;
  return APR_SUCCESS;
}

/* A pipe that nobody empties cannot be told from another one: this may wait. */
void conc_sys_write_error(const char *p, size_t n) {
  HANDLE out = GetStdHandle(STD_ERROR_HANDLE);
  DWORD put = 0;
  while (n > 0 && WriteFile(out, p, n < 512 ? (DWORD)n : 512, &put, NULL) &&
         put > 0) {
    p += put;
    n -= put;
  }
}

void conc_sys_await(conc_handle h, unsigned events) {
  WSAPOLLFD p = {.fd = conc_windows_socket(h)};
  if (conc_windows_hung(h))
    return;
  p.events = (SHORT)((events & CONC_READABLE ? POLLRDNORM : 0) |
                     (events & CONC_WRITABLE ? POLLWRNORM : 0));
  (void)WSAPoll(&p, 1, -1);
}

/* ---- Where we are ---- */

static apr_status_t path_of(HMODULE module, char *path, size_t size) {
  enum { LONGEST = 32768 };
  wchar_t *wide = malloc(LONGEST * sizeof *wide);
  if (wide == NULL)
    return APR_ENOMEM;
  DWORD n = GetModuleFileNameW(module, wide, LONGEST);
  apr_status_t st =
    n == 0 || n == LONGEST ? APR_ENOSPC : conc_windows_narrow(path, size, wide);
  free(wide);
  return st;
}

apr_status_t conc_sys_program(char *path, size_t size) {
  return path_of(NULL, path, size);
}

apr_status_t conc_sys_module(char *path, size_t size) {
  HMODULE self;
  if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                            GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                          (LPCWSTR)(uintptr_t)conc_sys_module, &self))
    return conc_windows_error();
  return path_of(self, path, size);
}

/* ---- Fork servers: a process cannot be copied here ---- */

apr_status_t conc_sys_forks_serve(conc_handle channel, conc_handle *given) {
  (void)channel, (void)given;
  return APR_ENOTIMPL;
}

apr_status_t conc_sys_forks_ask(conc_handle channel, conc_handle give,
                                conc_handle more) {
  (void)channel, (void)give, (void)more;
  return APR_ENOTIMPL;
}

apr_status_t conc_sys_forks_kill(conc_handle channel, uint64_t pid,
                                 conc_sys_signal s) {
  (void)channel, (void)pid, (void)s;
  return APR_ENOTIMPL;
}

apr_status_t conc_sys_forks_hear(conc_handle channel,
                                 conc_sys_forks_news *news) {
  (void)channel, (void)news;
  return APR_EOF;
}
