#ifndef CONC_SYS_STREAM_H
#define CONC_SYS_STREAM_H

/*
 * Stream sockets: Unix sockets and TCP.  Nothing here waits, but for names
 * that have to be looked up.  Bytes are moved by conc_sys_read and
 * conc_sys_write, waits are conc_sys_watch's (process.h).
 */

#include "sys/process.h"

/* No such host: there is no word of APR's. */
enum { CONC_BADNAME = APR_OS_START_USERERR + 790 };

typedef struct conc_address {
  const char *path; /* of a Unix socket, or NULL: TCP */
  const char *host; /* a name or number; "": every interface */
  unsigned port;    /* 0: any free one */
} conc_address;

/*
 * Are names of Unix sockets that begin with '@' no files, and gone with the
 * socket?  Else they are like any.
 */
bool conc_sys_abstract(void);

/*
 * A socket that listens; a Unix socket is its owner's only.  APR_EADDRINUSE,
 * APR_EACCES, APR_ENOENT ... CONC_BADNAME: no such host.
 */
apr_status_t conc_sys_listen(conc_handle *out, const conc_address *a,
                             int backlog);

/* The TCP port that it listens on, or 0. */
unsigned conc_sys_port(conc_handle h);

/* The TCP address of the other side as "host:port"; false: it has none. */
bool conc_sys_peer(conc_handle h, char *text, size_t size);

/* The next connection; APR_EAGAIN: none yet. */
apr_status_t conc_sys_accept(conc_handle listener, conc_handle *out);

/*
 * Begin to connect to the n-th of the addresses that *a stands for.
 * APR_SUCCESS: it is; APR_EINPROGRESS: when it is writable, conc_sys_connected
 * says; APR_EAGAIN: the other side has no room, try again later; APR_NOTFOUND:
 * there are not so many; else it failed.
 */
apr_status_t conc_sys_connect(conc_handle *out, const conc_address *a,
                              unsigned n);
apr_status_t conc_sys_connected(conc_handle h);

/* Is it readable or writable, at its end or in error, right now? */
bool conc_sys_ready(conc_handle h, unsigned events);

/* Remove the name of a Unix socket. */
void conc_sys_unlink(const char *path);

#endif
