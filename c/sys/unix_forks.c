/*
 * The fork server.  Parent and server speak in records of one size over their
 * channel; a request to fork carries the descriptor for the new process.  The
 * server is the only one that waits for what it forked, and also the only one
 * that signals it: so a signal cannot hit a number that is somebody else's by
 * now.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

enum what { FORK = 1, KILL, FORKED, FAILED, ENDED };

struct record {
  uint32_t what;
  int32_t a, b; /* KILL: signal; FAILED: error; ENDED: code, signal */
  uint32_t unused;
  uint64_t pid;
};

union passing {
  struct cmsghdr head;
  char room[CMSG_SPACE(2 * sizeof(int))];
};

/*
 * Records are shorter than any socket's buffer is fragmented to, and the other
 * side reads them eagerly: waiting for room is short.
 */
static apr_status_t say(int fd, const struct record *r, const int *give,
                        size_t n) {
  struct iovec iov = {(void *)(uintptr_t)r, sizeof *r};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  union passing passing = {0};
  if (n > 0) {
    msg.msg_control = &passing;
    msg.msg_controllen = (socklen_t)CMSG_SPACE(n * sizeof *give);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(n * sizeof *give);
    memcpy(CMSG_DATA(c), give, n * sizeof *give);
  }
  for (;;) {
    ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
    if (sent == (ssize_t)sizeof *r)
      return APR_SUCCESS;
    if (sent >= 0)
      return APR_EGENERAL;
    if (errno == EPIPE || errno == ECONNRESET)
      return APR_EOF;
    if (errno != EINTR)
      return errno;
  }
}

static void close_both(const int given[2]) {
  for (int i = 0; i < 2; i++)
    if (given[i] >= 0)
      close(given[i]);
}

/* The descriptors that came along, else -1. */
static void take_given(struct msghdr *msg, int given[2]) {
  struct cmsghdr *c = CMSG_FIRSTHDR(msg);
  if (c == NULL || c->cmsg_type != SCM_RIGHTS)
    return;
  size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(given, CMSG_DATA(c), (n < 2 ? n : 2) * sizeof(int));
  for (int i = 0; i < 2; i++)
    if (given[i] >= 0)
      (void)fcntl(given[i], F_SETFD, FD_CLOEXEC);
}

/* One whole record. */
static apr_status_t hear(int fd, struct record *r, int given[2], int flags) {
  struct iovec iov = {r, sizeof *r};
  union passing passing = {0};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &passing,
                       .msg_controllen = sizeof passing.room};
  ssize_t n;
  given[0] = given[1] = -1;
  do
    n = recvmsg(fd, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC | flags);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return APR_EAGAIN;
  if (n > 0)
    take_given(&msg, given);
  if (n == (ssize_t)sizeof *r)
    return APR_SUCCESS;
  close_both(given);
  return n < 0 && errno != ECONNRESET ? errno : APR_EOF;
}

/* ---- The server ---- */

static int bell[2]; /* in a server: a child has ended */

static void on_child(int number) {
  int error = errno;
  (void)number;
  (void)!write(bell[1], "", 1);
  errno = error;
}

/* The processes that were forked and not reaped: few enough for a list. */
struct nursery {
  pid_t *list;
  size_t n, room;
};

static bool adopt(struct nursery *all, pid_t pid) {
  if (all->n == all->room) {
    size_t room = all->room == 0 ? 16 : 2 * all->room;
    pid_t *list = realloc(all->list, room * sizeof *list);
    if (list == NULL)
      return false;
    all->list = list;
    all->room = room;
  }
  all->list[all->n++] = pid;
  return true;
}

static void reap(struct nursery *all, int channel) {
  char rung[64];
  (void)!read(bell[0], rung, sizeof rung);
  for (size_t i = all->n; i-- > 0;) {
    int status;
    if (waitpid(all->list[i], &status, WNOHANG) != all->list[i])
      continue;
    struct record r = {.what = ENDED, .pid = (uint64_t)all->list[i]};
    if (WIFSIGNALED(status))
      r.b = WTERMSIG(status);
    else
      r.a = WEXITSTATUS(status);
    all->list[i] = all->list[--all->n];
    (void)say(channel, &r, NULL, 0);
  }
}

static void signal_one(const struct nursery *all, const struct record *r) {
  for (size_t i = 0; i < all->n; i++)
    if (all->list[i] == (pid_t)r->pid)
      (void)conc_sys_kill(r->pid, (conc_sys_signal)r->a);
}

/* True: in the new process. */
static bool fork_one(struct nursery *all, int channel, const int given[2]) {
  struct record r = {.what = FORKED};
  pid_t pid = fork();
  if (pid == 0)
    return true;
  close_both(given);
  if (pid > 0 && !adopt(all, pid)) {
    kill(pid, SIGKILL);
    (void)conc_sys_reap((uint64_t)pid);
    pid = -1;
    errno = ENOMEM;
  }
  if (pid < 0)
    r = (struct record){.what = FAILED, .a = errno};
  else
    r.pid = (uint64_t)pid;
  (void)say(channel, &r, NULL, 0);
  return false;
}

/* The new process has nothing of the server's. */
static void leave(struct nursery *all, int channel) {
  struct sigaction plain = {.sa_handler = SIG_DFL};
  (void)sigaction(SIGCHLD, &plain, NULL);
  free(all->list);
  close(bell[0]);
  close(bell[1]);
  close(channel);
}

static apr_status_t prepare(void) {
  struct sigaction catch = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
  apr_status_t st = conc_unix_pipe(bell);
  if (st != APR_SUCCESS)
    return st;
  (void)fcntl(bell[0], F_SETFL, O_NONBLOCK);
  (void)fcntl(bell[1], F_SETFL, O_NONBLOCK);
  (void)sigaction(SIGCHLD, &catch, NULL);
  return APR_SUCCESS;
}

apr_status_t conc_sys_forks_serve(conc_handle channel, conc_handle *given) {
  struct nursery all = {0};
  int fd = (int)channel, got[2];
  struct record r;
  apr_status_t st = prepare();
  while (st == APR_SUCCESS || st == APR_EAGAIN) {
    struct pollfd asked[] = {{.fd = fd, .events = POLLIN},
                             {.fd = bell[0], .events = POLLIN}};
    if (poll(asked, 2, -1) < 0)
      continue;
    if (asked[1].revents != 0)
      reap(&all, fd);
    if (asked[0].revents == 0)
      continue;
    st = hear(fd, &r, got, MSG_DONTWAIT);
    if (st == APR_SUCCESS && r.what == KILL)
      signal_one(&all, &r);
    else if (st == APR_SUCCESS && r.what == FORK && got[0] >= 0 &&
             fork_one(&all, fd, got)) {
      leave(&all, fd);
      *given = got[0];
      if (got[1] >= 0) {
        (void)dup2(got[1], 2);
        close(got[1]);
      }
      return APR_SUCCESS;
    }
  }
  _exit(0); /* what it forked ends by itself */
}

/* ---- The parent ---- */

apr_status_t conc_sys_forks_ask(conc_handle channel, conc_handle give,
                                conc_handle err) {
  const struct record r = {.what = FORK};
  const int both[] = {(int)give, (int)err};
  return say((int)channel, &r, both, err == CONC_NO_HANDLE ? 1 : 2);
}

apr_status_t conc_sys_forks_kill(conc_handle channel, uint64_t pid,
                                 conc_sys_signal s) {
  const struct record r = {.what = KILL, .a = (int32_t)s, .pid = pid};
  return say((int)channel, &r, NULL, 0);
}

apr_status_t conc_sys_forks_hear(conc_handle channel,
                                 conc_sys_forks_news *news) {
  struct record r;
  int given[2];
  apr_status_t st = hear((int)channel, &r, given, MSG_DONTWAIT);
  if (st != APR_SUCCESS)
    return st;
  *news = (conc_sys_forks_news){.pid = r.pid};
  news->what = r.what == FORKED   ? CONC_FORKED
               : r.what == FAILED ? CONC_NOT_FORKED
                                  : CONC_FORK_ENDED;
  news->why = r.a;
  news->end = (conc_sys_end){r.a, r.b};
  return APR_SUCCESS;
}
