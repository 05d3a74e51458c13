#ifndef CONC_WINDOWS_H
#define CONC_WINDOWS_H

/*
 * What the files of c/sys for Windows share; nobody else includes it, and they
 * include it first: APR's headers leave alone what is there already.
 */

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX

#include <winsock2.h>

#include <ws2tcpip.h>

#include <windows.h>

#include <apr_errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

/* ---- Errors ---- */

/* Of the last call: as Unix has it, where that has a name for it. */
apr_status_t conc_windows_error(void);
apr_status_t conc_windows_socket_error(void);

/* ---- Times ---- */

/* Rounded up, so that a sleeper with time left never spins; a day at most. */
static inline DWORD conc_windows_milliseconds(int64_t ns) {
  const int64_t day = 86400000;
  if (ns < 0)
    return INFINITE;
  int64_t ms = ns / 1000000 + (ns % 1000000 != 0);
  return (DWORD)(ms < day ? ms : day);
}

/* ---- Text ---- */

/*
 * Text to UTF-16, from the heap of the C library; NULL: no memory.  Ours is
 * UTF-8; what comes from the C library (os.getenv, io.open) is in the system's
 * code page, and is taken for that when it cannot be UTF-8.
 */
wchar_t *conc_windows_wide(const char *text);

/* The other way; APR_ENOSPC. */
apr_status_t conc_windows_narrow(char *text, size_t size, const wchar_t *wide);

/* ---- Ends ---- */

/*
 * The exit code of a process that conc ended, less a signal's number: Windows
 * has no signals, so the code says it.  (Python does the same.)
 */
enum { CONC_KILLED = 0x10000 };

/* ---- Sockets ---- */

/* Make the library of sockets ready. */
apr_status_t conc_windows_sockets(void);

/* What to call the socket that the handle stands for. */
SOCKET conc_windows_socket(intptr_t h);

/* Sockets that were hung up and are not closed, and those that are about to be
   connected (windows_watch.c). */
void conc_windows_note_hung(intptr_t h);
void conc_windows_note_connecting(intptr_t h);
void conc_windows_forget(intptr_t h);
bool conc_windows_hung(intptr_t h);

/* Have the watcher look at its list again. */
void conc_windows_ring(void);

/* ---- Pipes (windows_pipe.c) ---- */

bool conc_windows_is_pipe(intptr_t h);

/* False: it is no pipe. */
bool conc_windows_pipe_close(intptr_t h);

/* Has it something to read, or ended?  If not, that will ring. */
bool conc_windows_pipe_ready(intptr_t h);

/* As conc_sys_read; one at a time. */
apr_status_t conc_windows_pipe_read(intptr_t h, void *to, size_t *n);

/* ---- Processes ---- */

/* Hear of the parent's interrupts, in a process that conc has started. */
void conc_windows_hear_interrupts(void);

#endif
