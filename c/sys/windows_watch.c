/*
 * The watcher: one thread for the process, in WSAPoll, over all watches; a byte
 * to a socket of its own, which is connected to itself, makes it look at the
 * list again.  It is posix_watch.c in the words of Windows.
 *
 * A socket that is shut down on this side is not readable to WSAPoll, as it is
 * elsewhere.  So those are remembered until they are closed.  Before Windows 10
 * 2004 it does not tell of a connection that fails either: so one that is being
 * made is looked at now and then.  Pipes have to be asked one by one
 * (windows_pipe.c).
 */

#include "sys/windows.h"

#include "sys/process.h"

#include <process.h>
#include <stdlib.h>

enum { STACK = 256 << 10, GLANCE = 50 /* ms */ };

/* Of those WSAPoll does not say all. */
struct notes {
  conc_handle *list;
  uint32_t n, room;
};

/* [l] under the lock */
static struct {
  SRWLOCK lock;
  CONDITION_VARIABLE idle; /* nothing is running */
  bool up;                 /* [l] */
  SOCKET bell;             /* [c] once up */
  conc_sys_watch **list;   /* [l] w->slot is its place; [0] is the bell's */
  uint32_t n, room;        /* [l] */
  conc_sys_watch *running; /* [l] */
  bool over;               /* [l] the one that was running is gone */
  struct notes hung;       /* [l] hung up, and not yet closed */
  struct notes connecting; /* [l] */
} watcher = {.lock = SRWLOCK_INIT, .idle = CONDITION_VARIABLE_INIT};

void conc_windows_ring(void) { (void)send(watcher.bell, "", 1, 0); }

static void remove_locked(uint32_t i) {
  conc_sys_watch *last = watcher.list[--watcher.n];
  watcher.list[i] = last;
  last->slot = i;
}

/* A pipe has no question of its own: nothing is asked of the bell for it. */
static WSAPOLLFD question(const conc_sys_watch *w) {
  if (w == NULL || conc_windows_is_pipe(w->handle))
    return (WSAPOLLFD){.fd = watcher.bell,
                       .events = w == NULL ? POLLRDNORM : 0};
  return (WSAPOLLFD){.fd = conc_windows_socket(w->handle),
                     .events =
                       (SHORT)((w->events & CONC_READABLE ? POLLRDNORM : 0) |
                               (w->events & CONC_WRITABLE ? POLLWRNORM : 0))};
}

/* ---- Notes ---- */

static bool noted_locked(const struct notes *a, conc_handle h) {
  for (uint32_t i = 0; i < a->n; i++)
    if (a->list[i] == h)
      return true;
  return false;
}

static void note(struct notes *a, conc_handle h) {
  AcquireSRWLockExclusive(&watcher.lock);
  if (a->n == a->room) {
    uint32_t room = a->room == 0 ? 16 : 2 * a->room;
    conc_handle *list = realloc(a->list, room * sizeof *list);
    if (list != NULL) {
      a->list = list;
      a->room = room;
    }
  }
  if (a->n < a->room && !noted_locked(a, h))
    a->list[a->n++] = h;
  if (watcher.up)
    conc_windows_ring();
  ReleaseSRWLockExclusive(&watcher.lock);
}

static void forget_locked(struct notes *a, conc_handle h) {
  for (uint32_t i = 0; i < a->n; i++)
    if (a->list[i] == h)
      a->list[i] = a->list[--a->n];
}

/* Without memory the watch on this one ends when the other side hears of it. */
void conc_windows_note_hung(conc_handle h) { note(&watcher.hung, h); }

/* Without memory it depends on WSAPoll. */
void conc_windows_note_connecting(conc_handle h) {
  note(&watcher.connecting, h);
}

void conc_windows_forget(conc_handle h) {
  AcquireSRWLockExclusive(&watcher.lock);
  forget_locked(&watcher.hung, h);
  forget_locked(&watcher.connecting, h);
  ReleaseSRWLockExclusive(&watcher.lock);
}

bool conc_windows_hung(conc_handle h) {
  AcquireSRWLockShared(&watcher.lock);
  bool hung = noted_locked(&watcher.hung, h);
  ReleaseSRWLockShared(&watcher.lock);
  return hung;
}

/* ---- The thread ---- */

static bool refused(conc_handle h) {
  struct timeval now = {0, 0};
  fd_set failed = {.fd_count = 1, .fd_array = {conc_windows_socket(h)}};
  return select(0, NULL, NULL, &failed, &now) > 0;
}

/* What the system does not say: those hung up are at their end, connections that
   failed, and pipes. */
static bool answer_locked(const conc_sys_watch *w, WSAPOLLFD *asked) {
  if (question(w).fd != asked->fd)
    return false; /* another one took its place */
  if (conc_windows_is_pipe(w->handle))
    asked->revents = conc_windows_pipe_ready(w->handle) ? POLLRDNORM : 0;
  else if (noted_locked(&watcher.hung, w->handle))
    asked->revents = POLLHUP;
  else if (noted_locked(&watcher.connecting, w->handle) && refused(w->handle))
    asked->revents = POLLERR;
  else
    return false;
  return asked->revents != 0;
}

/* How long to wait for others (ms): not at all if there is any such answer. */
static int answer(WSAPOLLFD *block, uint32_t n) {
  bool any = false;
  AcquireSRWLockShared(&watcher.lock);
  for (uint32_t i = 1; i < n && i < watcher.n; i++)
    any = answer_locked(watcher.list[i], &block[i]) || any;
  int patience = any ? 0 : watcher.connecting.n > 0 ? GLANCE : -1;
  ReleaseSRWLockShared(&watcher.lock);
  return patience;
}

/* What to ask for, in a block of the watcher's own. */
static uint32_t collect(WSAPOLLFD **block, uint32_t *room) {
  AcquireSRWLockExclusive(&watcher.lock);
  uint32_t n = watcher.n;
  if (n > *room) {
    WSAPOLLFD *more = realloc(*block, watcher.room * sizeof *more);
    if (more != NULL) {
      *block = more;
      *room = watcher.room;
    }
  }
  n = n < *room ? n : *room; /* without memory: some wait longer */
  for (uint32_t i = 0; i < n; i++)
    (*block)[i] = question(watcher.list[i]);
  ReleaseSRWLockExclusive(&watcher.lock);
  return n;
}

/* The watch on that socket that stood at 'i' when it was asked for. */
static conc_sys_watch *begin(uint32_t i, const WSAPOLLFD *p) {
  AcquireSRWLockExclusive(&watcher.lock);
  conc_sys_watch *w = i < watcher.n ? watcher.list[i] : NULL;
  if (w != NULL && question(w).fd != p->fd)
    w = NULL; /* another one took its place: it is asked for again */
  watcher.running = w;
  watcher.over = false;
  ReleaseSRWLockExclusive(&watcher.lock);
  return w;
}

/* A watch that is over may be gone with its memory.  It may have another place
   than when it began. */
static void end(const conc_sys_watch *w, bool more) {
  AcquireSRWLockExclusive(&watcher.lock);
  if (!more && !watcher.over)
    remove_locked(w->slot);
  watcher.running = NULL;
  WakeAllConditionVariable(&watcher.idle);
  ReleaseSRWLockExclusive(&watcher.lock);
}

static void hear_bell(void) {
  char rung[64];
  while (recv(watcher.bell, rung, sizeof rung, 0) > 0)
    ;
}

static void *watch(void *arg) {
  WSAPOLLFD *block = NULL;
  uint32_t room = 0;
  (void)arg;
  conc_sys_name_thread("conc watcher");
  for (;;) {
    uint32_t n = collect(&block, &room);
    if (WSAPoll(block, n, answer(block, n)) < 0)
      continue;
    (void)answer(block, n);
    if (block[0].revents != 0)
      hear_bell();
    /* From the end: a removal moves the last. */
    for (uint32_t i = n; i-- > 1;) {
      conc_sys_watch *w = block[i].revents == 0 ? NULL : begin(i, &block[i]);
      if (w != NULL)
        end(w, w->ready(w));
    }
  }
  return NULL;
}

/* ---- Threads ---- */

struct task {
  void *(*run)(void *);
  void *arg;
};

static unsigned __stdcall run_task(void *arg) {
  struct task t = *(struct task *)arg;
  free(arg);
  (void)t.run(t.arg);
  return 0;
}

apr_status_t conc_sys_helper(void *(*run)(void *), void *arg) {
  struct task *t = malloc(sizeof *t);
  if (t == NULL)
    return APR_ENOMEM;
  *t = (struct task){run, arg};
  uintptr_t thread = _beginthreadex(NULL, STACK, run_task, t,
                                    STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  if (thread == 0) {
    free(t);
    return APR_ENOMEM;
  }
  (void)CloseHandle((HANDLE)thread);
  return APR_SUCCESS;
}

/* ---- Watches ---- */

/* A datagram socket that hears itself. */
static bool make_bell(void) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  int size = sizeof at;
  u_long nonblocking = 1;
  WSADATA data;
  if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
    return false;
  SOCKET s =
    WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (s != INVALID_SOCKET &&
      SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0) &&
      bind(s, (struct sockaddr *)&at, sizeof at) == 0 &&
      getsockname(s, (struct sockaddr *)&at, &size) == 0 &&
      connect(s, (struct sockaddr *)&at, sizeof at) == 0 &&
      ioctlsocket(s, (long)FIONBIO, &nonblocking) == 0) {
    watcher.bell = s;
    return true;
  }
  if (s != INVALID_SOCKET)
    (void)closesocket(s);
  return false;
}

static bool widen_locked(void) {
  uint32_t room = watcher.room == 0 ? 16 : 2 * watcher.room;
  conc_sys_watch **list = realloc(watcher.list, room * sizeof *list);
  if (list == NULL)
    return false;
  watcher.list = list;
  watcher.room = room;
  return true;
}

static apr_status_t set_up_locked(void) {
  if (watcher.up)
    return APR_SUCCESS;
  watcher.n = 0;
  if (watcher.room == 0 && !widen_locked())
    return APR_ENOMEM;
  watcher.list[watcher.n++] = NULL;
  if (!make_bell())
    return APR_EGENERAL;
  apr_status_t st = conc_sys_helper(watch, NULL);
  if (st != APR_SUCCESS) {
    (void)closesocket(watcher.bell);
    return st;
  }
  watcher.up = true;
  return APR_SUCCESS;
}

apr_status_t conc_sys_watch_start(conc_sys_watch *w) {
  AcquireSRWLockExclusive(&watcher.lock);
  apr_status_t st = set_up_locked();
  if (st == APR_SUCCESS && watcher.n == watcher.room && !widen_locked())
    st = APR_ENOMEM;
  if (st == APR_SUCCESS) {
    w->slot = watcher.n;
    watcher.list[watcher.n++] = w;
    conc_windows_ring();
  }
  ReleaseSRWLockExclusive(&watcher.lock);
  return st;
}

bool conc_sys_watch_stop(conc_sys_watch *w) {
  AcquireSRWLockExclusive(&watcher.lock);
  while (watcher.running == w)
    (void)SleepConditionVariableSRW(&watcher.idle, &watcher.lock, INFINITE, 0);
  bool live = watcher.up && w->slot < watcher.n && watcher.list[w->slot] == w;
  if (live) {
    remove_locked(w->slot);
    conc_windows_ring();
  }
  ReleaseSRWLockExclusive(&watcher.lock);
  return live;
}

void conc_sys_watch_over(conc_sys_watch *w) {
  AcquireSRWLockExclusive(&watcher.lock);
  if (w->slot < watcher.n && watcher.list[w->slot] == w) {
    remove_locked(w->slot);
    watcher.over = true;
  }
  ReleaseSRWLockExclusive(&watcher.lock);
}
