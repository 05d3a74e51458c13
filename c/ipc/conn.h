#ifndef CONC_CONN_H
#define CONC_CONN_H

/*
 * Connections: messages over a stream socket, and listeners for them.  Any
 * thread may use either direction; those who want the same take turns.
 *
 * On the wire a message is a byte that says what it is, its length in 7 bytes,
 * little endian, and as many bytes.  What has arrived of a message stays with
 * the connection, so a receive that ends early loses nothing.
 */

#include <apr_errno.h>

#include "base/object.h"
#include "sys/stream.h"
#include "wait/parker.h"

typedef enum { CONC_FRAME_VALUE = 'v', CONC_FRAME_BYTES = 'b' } conc_frame_kind;

/* A message that is being received, or has been. */
typedef struct conc_frame {
  unsigned char head[8];
  size_t got;          /* bytes of head and data together */
  uint64_t size;       /* of the data, once the head is there */
  unsigned char *data; /* from conc_alloc; grows as it comes */
  size_t room;
} conc_frame;

/*
 * [c] constant after new   [r] of who holds 'reading'   [w] 'writing'
 * [a] atomic
 */
typedef struct conc_conn {
  conc_obj obj;
  conc_word reading, writing; /* latches */
  conc_word closed;           /* [a] by this side; no more use of the handle */
  conc_handle handle;         /* [r][w] CONC_NO_HANDLE once it is closed */
  conc_frame in;              /* [r] */
  bool ended;                 /* [r] the other side has closed, or is corrupt */
  conc_word deaf;             /* [a] it only sends from now on; then 'ended' */
  bool broken;                /* [w] a message was cut off */
  _Atomic uint64_t most;      /* [a] bytes that a message may have */
  bool trusted;               /* [c] what it says may hold code */
} conc_conn;

extern const conc_class conc_conn_class;

/* Takes the handle over. */
apr_status_t conc_conn_new(conc_conn **out, conc_handle h, bool trusted,
                           uint64_t most);

/* Connect, waiting until 'deadline'; the handle. */
apr_status_t conc_conn_connect(conc_handle *out, const conc_address *a,
                               conc_parker *self, conc_time deadline);

/*
 * Send a message.  CONC_CLOSED: the other side is gone; CONC_MISUSE: this side
 * is closed.  A wait that ends early in the middle of a message breaks the
 * connection.
 */
apr_status_t conc_conn_send(conc_conn *c, conc_frame_kind kind,
                            const void *data, size_t size, conc_parker *self);

/*
 * Wait for a message until 'deadline'.  APR_SUCCESS: it is there, and the
 * caller has 'reading': it looks at c->in, may take c->in.data (and set it
 * NULL), and calls one of the two after.  Else APR_TIMEUP, CONC_CANCELLED,
 * CONC_INTERRUPTED; CONC_CLOSED: no more will come; CONC_MISUSE: this side is
 * closed; CONC_CORRUPT: no message, or one larger than it may be; nothing comes
 * after it.
 */
apr_status_t conc_conn_receive(conc_conn *c, conc_parker *self,
                               conc_time deadline);
void conc_conn_done(conc_conn *c); /* it is dealt with */
void conc_conn_keep(conc_conn *c); /* it stays the next one */

/* Instead of them: it is lost, and no more is received. */
void conc_conn_refuse(conc_conn *c);

/* Is a message there, or the end? */
bool conc_conn_ready(conc_conn *c, conc_parker *self);

/* May be called again; whoever waits is told. */
void conc_conn_close(conc_conn *c, conc_parker *self);

/* ---- Listeners ---- */

/* As in conc_conn, but for 'path': [c], a Unix socket's name, or NULL. */
typedef struct conc_listener {
  conc_obj obj;
  conc_word using;    /* a latch */
  conc_word closed;   /* [a] */
  conc_handle handle; /* of who holds 'using' */
  uint64_t pid;       /* [c] whose the name is */
  char *path;
} conc_listener;

extern const conc_class conc_listener_class;

apr_status_t conc_listener_new(conc_listener **out, const conc_address *a,
                               int backlog);

/* The handle of the next connection. */
apr_status_t conc_listener_accept(conc_listener *l, conc_handle *out,
                                  conc_parker *self, conc_time deadline);

void conc_listener_close(conc_listener *l, conc_parker *self);

#endif
