/*
 * Pipes for the standard errors of programs, which write to them as to files: a
 * socket would not do.  A pipe is not for WSAPoll, so that the watcher begins a
 * read of no bytes on one that is empty.  It ends when there is something or the
 * other side is gone, and that rings the watcher's bell.  Reading asks how much
 * there is and takes no more, so that it never waits.
 */

#include "sys/windows.h"

#include "sys/process.h"

#include <stdlib.h>

/* An end; of the other one there is only the handle.
   [c] constant once listed   [l] under the lock */
typedef struct pipe {
  conc_handle handle; /* [c] */
  HANDLE wait;        /* [c] of the thread pool, for the event in 'empty' */
  OVERLAPPED empty;   /* [l] the read of no bytes */
  bool asked;         /* [l] it has begun */
  struct pipe *next;  /* [l] */
} pipe;

static struct {
  SRWLOCK lock; /* a leaf */
  conc_word n;  /* [a] written under the lock */
  pipe *first;  /* [l] */
} pipes = {.lock = SRWLOCK_INIT};

static pipe **find_locked(conc_handle h) {
  pipe **link = &pipes.first;
  while (*link != NULL && (*link)->handle != h)
    link = &(*link)->next;
  return link;
}

bool conc_windows_is_pipe(conc_handle h) {
  if (atomic_load(&pipes.n) == 0)
    return false;
  AcquireSRWLockShared(&pipes.lock);
  bool found = *find_locked(h) != NULL;
  ReleaseSRWLockShared(&pipes.lock);
  return found;
}

/* ---- Making ---- */

static VOID CALLBACK on_event(PVOID arg, BOOLEAN timed_out) {
  (void)arg, (void)timed_out;
  conc_windows_ring();
}

static void destroy(pipe *p) {
  DWORD n;
  if (p == NULL)
    return;
  /* First, as it would take the event that the next one may wait for. */
  if (p->wait != NULL)
    (void)UnregisterWaitEx(p->wait, INVALID_HANDLE_VALUE);
  if (p->asked && CancelIoEx((HANDLE)p->handle, &p->empty))
    (void)GetOverlappedResult((HANDLE)p->handle, &p->empty, &n, TRUE);
  if (p->empty.hEvent != NULL)
    (void)CloseHandle(p->empty.hEvent);
  if (p->handle != CONC_NO_HANDLE)
    (void)CloseHandle((HANDLE)p->handle);
  free(p);
}

static pipe *new_end(void) {
  pipe *p = calloc(1, sizeof *p);
  if (p != NULL)
    p->handle = CONC_NO_HANDLE;
  return p;
}

/* Both ends; nobody else is to open it, hence a name that is hard to guess and
   one instance. */
static apr_status_t open_ends(pipe *ours, pipe *theirs) {
  static conc_word count;
  enum { ROOM = 65536 };
  wchar_t name[80];
  (void)swprintf(name, sizeof name / sizeof *name,
                 L"\\\\.\\pipe\\conc.%lu.%u.%llx", GetCurrentProcessId(),
                 (unsigned)atomic_fetch_add(&count, 1),
                 (unsigned long long)conc_sys_now());
  ours->handle = (conc_handle)CreateNamedPipeW(
    name,
    PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
    PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, 0, ROOM, 0, NULL);
  if (ours->handle == CONC_NO_HANDLE)
    return conc_windows_error();
  theirs->handle =
    (conc_handle)CreateFileW(name, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0,
                             NULL, OPEN_EXISTING, 0, NULL);
  return theirs->handle == CONC_NO_HANDLE ? conc_windows_error() : APR_SUCCESS;
}

static apr_status_t set_up(pipe *ours, pipe *theirs) {
  ours->empty.hEvent = CreateEventW(NULL, FALSE, FALSE, NULL);
  if (ours->empty.hEvent == NULL ||
      !RegisterWaitForSingleObject(&ours->wait, ours->empty.hEvent, on_event,
                                   NULL, INFINITE, WT_EXECUTEINWAITTHREAD))
    return APR_ENOMEM;
  return open_ends(ours, theirs);
}

static void list_locked(pipe *p) {
  p->next = pipes.first;
  pipes.first = p;
  atomic_fetch_add(&pipes.n, 1);
}

apr_status_t conc_sys_error_pipe(conc_handle ends[2]) {
  pipe *ours = new_end(), *theirs = new_end();
  apr_status_t st = APR_ENOMEM;
  if (ours != NULL && theirs != NULL)
    st = set_up(ours, theirs);
  if (st != APR_SUCCESS) {
    destroy(ours);
    destroy(theirs);
    return st;
  }
  AcquireSRWLockExclusive(&pipes.lock);
  list_locked(ours);
  list_locked(theirs);
  ReleaseSRWLockExclusive(&pipes.lock);
  ends[0] = ours->handle;
  ends[1] = theirs->handle;
  return APR_SUCCESS;
}

bool conc_windows_pipe_close(conc_handle h) {
  if (atomic_load(&pipes.n) == 0)
    return false;
  AcquireSRWLockExclusive(&pipes.lock);
  pipe **link = find_locked(h), *p = *link;
  if (p != NULL) {
    *link = p->next;
    atomic_fetch_sub(&pipes.n, 1);
  }
  ReleaseSRWLockExclusive(&pipes.lock);
  if (p != NULL)
    destroy(p);
  return p != NULL;
}

/* ---- Reading ---- */

static bool is_empty(conc_handle h) {
  DWORD there = 0;
  return PeekNamedPipe((HANDLE)h, NULL, 0, NULL, &there, NULL) && there == 0;
}

bool conc_windows_pipe_ready(conc_handle h) {
  AcquireSRWLockExclusive(&pipes.lock);
  pipe *p = *find_locked(h);
  bool ready = p == NULL || !is_empty(h);
  if (p != NULL && p->asked && HasOverlappedIoCompleted(&p->empty))
    p->asked = false;
  if (!ready && !p->asked) {
    char none;
    if (ReadFile((HANDLE)h, &none, 0, NULL, &p->empty) ||
        GetLastError() == ERROR_IO_PENDING)
      p->asked = true;
    else
      ready = true;
  }
  ReleaseSRWLockExclusive(&pipes.lock);
  return ready;
}

apr_status_t conc_windows_pipe_read(conc_handle h, void *to, size_t *n) {
  DWORD there = 0, got = 0;
  OVERLAPPED o = {0};
  if (!PeekNamedPipe((HANDLE)h, NULL, 0, NULL, &there, NULL))
    return APR_EOF;
  if (there == 0)
    return APR_EAGAIN;
  o.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
  if (o.hEvent == NULL)
    return APR_ENOMEM;
  bool good =
    ReadFile((HANDLE)h, to, there < *n ? there : (DWORD)*n, NULL, &o) ||
    GetLastError() == ERROR_IO_PENDING;
  good = good && GetOverlappedResult((HANDLE)h, &o, &got, TRUE);
  (void)CloseHandle(o.hEvent);
  *n = got;
  return good ? APR_SUCCESS : APR_EOF;
}
