#ifndef CONC_SYS_PROCESS_H
#define CONC_SYS_PROCESS_H

/*
 * Processes: starting one, a channel to it, hearing of its end.  The contract
 * is met by unix_spawn.c, unix_channel.c and, for fork servers,
 * unix_forks.c; and by their windows twins.
 */

#include <apr_errno.h>

#include "sys/sys.h"

/* A descriptor, a HANDLE or a SOCKET. */
typedef intptr_t conc_handle;

#define CONC_NO_HANDLE ((conc_handle)-1)

/* Nothing for CONC_NO_HANDLE.  A watch on it is stopped before. */
void conc_sys_close(conc_handle h);

/* One that was inherited: no program that we start has it from now on. */
void conc_sys_private(conc_handle h);

/* Another handle for the same; no program inherits it. */
apr_status_t conc_sys_copy(conc_handle h, conc_handle *out);

/* ---- Starting ---- */

typedef struct conc_sys_spawn_conf {
  const char *path;           /* of the program; it is not searched for */
  const char *const *argv;    /* argv[0] and so on, ended by NULL */
  const conc_handle *inherit; /* it has these, under the same numbers ... */
  size_t ninherit;            /* ... and its standard ones, and no others */
  conc_handle err; /* instead of our standard error, or CONC_NO_HANDLE */
  bool quiet;      /* what it writes goes nowhere, but to 'err' */
  bool outlives;   /* it is not killed with us; not on Windows */
} conc_sys_spawn_conf;

/*
 * Start a program.  Its standard input is empty; it is in a process group of
 * its own, so that the terminal's signals pass it by; no signal is blocked or
 * ignored there.  Where the system has it, and unless it outlives us, it is killed
 * when the thread that called ends, if that is our main thread.
 *
 * APR_SUCCESS: the program runs, and *pid is to be reaped.  Otherwise why it
 * does not: APR_ENOENT, APR_EACCES, APR_ENOMEM, APR_EAGAIN ...
 */
apr_status_t conc_sys_spawn(uint64_t *pid, const conc_sys_spawn_conf *conf);

/*
 * Is 'parent' the process that started this one with conc_sys_spawn, does it
 * live, and will the system kill this one when it ends?
 */
bool conc_sys_dies_with(uint64_t parent);

/*
 * The process 'parent', which started this one, is ending: wait until it has
 * ended, and all that it held is let go.
 */
void conc_sys_outlive(uint64_t parent);

typedef enum { CONC_INTERRUPT, CONC_TERMINATE, CONC_KILL } conc_sys_signal;

/* Only for processes of ours that are not reaped: else it hits a stranger. */
apr_status_t conc_sys_kill(uint64_t pid, conc_sys_signal s);

/* ---- The end of a process ---- */

typedef struct conc_sys_end {
  int code;   /* given to exit; 255 when the system does not know */
  int signal; /* that killed it, or 0 */
} conc_sys_end;

/* "SIGKILL" and so on, or NULL. */
const char *conc_sys_signal_name(int number);

/* ---- Being told ---- */

enum { CONC_READABLE = 1, CONC_WRITABLE = 2 };

/*
 * Have 'ready' called, in a thread that conc keeps for that, whenever the
 * handle (a channel or a socket) is readable or writable, or at its end or in
 * error, which count as both.  It must not block.  It returns whether it wants
 * to be called again; if not, the watch is over and its memory free to go.
 */
typedef struct conc_sys_watch {
  conc_handle handle; /* in */
  unsigned events;    /* in */
  bool (*ready)(struct conc_sys_watch *w);
  uint32_t slot; /* of the watcher */
} conc_sys_watch;

apr_status_t conc_sys_watch_start(conc_sys_watch *w);

/*
 * End a watch, from any thread but within 'ready': that is not called any more
 * when this returns.  True: the watch was not over.  Needed before the handle
 * is closed, over or not.
 */
bool conc_sys_watch_stop(conc_sys_watch *w);

/*
 * Have 'ended' called once when our child has ended, in such a thread; it is
 * not reaped then, so its number is still its own.
 */
typedef struct conc_sys_child {
  uint64_t pid; /* in */
  void (*ended)(struct conc_sys_child *c);
  conc_sys_watch watch;
} conc_sys_child;

apr_status_t conc_sys_child_watch(conc_sys_child *c);

/* Take the end of a child of ours that has ended, waiting for it if need be. */
conc_sys_end conc_sys_reap(uint64_t pid);

/*
 * Within 'ready', before it returns false: the watch is over now, so that the
 * handle may be closed.
 */
void conc_sys_watch_over(conc_sys_watch *w);

/* ---- Channels ---- */

/*
 * A two-way stream of bytes between this process and one that inherits the
 * other end.
 */
apr_status_t conc_sys_channel(conc_handle ends[2]);

/*
 * A stream of bytes from programs: who has ends[1] as its standard error writes
 * to it, and ends[0] is to be read and watched here.
 */
apr_status_t conc_sys_error_pipe(conc_handle ends[2]);

/*
 * Move up to *n bytes, and say in *n how many were.  APR_EAGAIN: none at the
 * moment; APR_EOF: the other side is gone.
 */
apr_status_t conc_sys_read(conc_handle h, void *p, size_t *n);
apr_status_t conc_sys_write(conc_handle h, const void *p, size_t *n);

/* Write to our standard error, as much as it takes without waiting. */
void conc_sys_write_error(const char *p, size_t n);

/* For the other side, and for whoever waits for it here, the channel is closed
   now; it is still to be closed. */
void conc_sys_hang_up(conc_handle h);

/* Sleep until the handle is readable or writable; only for those who have
   nothing else to wait for. */
void conc_sys_await(conc_handle h, unsigned events);

/* ---- Fork servers ---- */

/*
 * A process without threads that forks itself when asked to.  serve never
 * returns there: it ends when the other end of 'channel' is closed.  It
 * returns in each process that was forked, with the handle that was given to
 * it, and with the standard error that was given to it if one was.
 * APR_ENOTIMPL: not on this system.
 */
apr_status_t conc_sys_forks_serve(conc_handle channel, conc_handle *given);

/*
 * Ask: the handle 'give' is copied, and 'err' unless it is CONC_NO_HANDLE; the
 * answer comes later.
 */
apr_status_t conc_sys_forks_ask(conc_handle channel, conc_handle give,
                                conc_handle err);
/* A signal for one that was forked there; nothing if it has ended. */
apr_status_t conc_sys_forks_kill(conc_handle channel, uint64_t pid,
                                 conc_sys_signal s);

/* What a server says, in order. */
typedef struct conc_sys_forks_news {
  enum { CONC_FORKED, CONC_NOT_FORKED, CONC_FORK_ENDED } what;
  uint64_t pid;     /* FORKED, FORK_ENDED */
  apr_status_t why; /* NOT_FORKED */
  conc_sys_end end; /* FORK_ENDED */
} conc_sys_forks_news;

/* The next news; APR_EAGAIN: none; APR_EOF: the server is gone. */
apr_status_t conc_sys_forks_hear(conc_handle channel,
                                 conc_sys_forks_news *news);

/* ---- Where we are ---- */

/* The path of this program; of the module that holds this function. */
apr_status_t conc_sys_program(char *path, size_t size);
apr_status_t conc_sys_module(char *path, size_t size);

/* End this process now, without any ceremony. */
_Noreturn void conc_sys_end_now(int code);

/* ---- Helpers ---- */

/*
 * Run it in a thread of its own, in which no signal is handled, for as long as
 * the process lasts.  Returns what the system says.
 */
apr_status_t conc_sys_helper(void *(*run)(void *), void *arg);

#endif
