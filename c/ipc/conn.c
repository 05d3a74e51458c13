#include "ipc/conn.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/latch.h"
#include "core/shield.h"
#include "ipc/io.h"
#include "wait/lot.h"
#include "wait/spin.h"

enum { HEAD = 8, FIRST_ROOM = 1 << 16 };

/* ---- Making ---- */

static void destroy(conc_obj *o) {
  conc_conn *c = (conc_conn *)o;
  conc_sys_close(c->handle);
  conc_free(c->in.data);
  conc_obj_free(o);
}

const conc_class conc_conn_class = {"Connection", destroy};

apr_status_t conc_conn_new(conc_conn **out, conc_handle h, bool trusted,
                           uint64_t most) {
  conc_conn *c = conc_obj_new(&conc_conn_class, sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  c->handle = h;
  c->trusted = trusted;
  atomic_init(&c->most, most);
  *out = c;
  return APR_SUCCESS;
}

/* The other side has no room for us yet: ask again every now and then. */
static apr_status_t pause_for_room(conc_parker *self, conc_time deadline) {
  conc_word never = 0;
  conc_waiter one = {.word = &never};
  size_t which;
  conc_time soon = conc_after(0.005);
  apr_status_t st =
    conc_wait_any(&one, 1, &which, self, soon < deadline ? soon : deadline);
  if (APR_STATUS_IS_TIMEUP(st) && soon < deadline)
    return APR_SUCCESS;
  return st;
}

static apr_status_t connect_one(conc_handle *out, const conc_address *a,
                                unsigned n, conc_parker *self,
                                conc_time deadline) {
  apr_status_t st;
  while ((st = conc_sys_connect(out, a, n)) == APR_EAGAIN)
    if ((st = pause_for_room(self, deadline)) != APR_SUCCESS)
      return st;
  if (!APR_STATUS_IS_EINPROGRESS(st))
    return st;
  st = conc_io_wait(*out, CONC_WRITABLE, self, deadline);
  if (st == APR_SUCCESS)
    st = conc_sys_connected(*out);
  if (st != APR_SUCCESS)
    conc_sys_close(*out);
  return st;
}

static bool final(apr_status_t st) {
  return st == APR_SUCCESS || APR_STATUS_IS_TIMEUP(st) ||
         st == CONC_CANCELLED || st == CONC_INTERRUPTED;
}

apr_status_t conc_conn_connect(conc_handle *out, const conc_address *a,
                               conc_parker *self, conc_time deadline) {
  apr_status_t last = CONC_BADNAME;
  for (unsigned n = 0;; n++) {
    apr_status_t st = connect_one(out, a, n, self, deadline);
    if (st == APR_NOTFOUND)
      return last;
    if (final(st))
      return st;
    last = st;
  }
}

/* ---- Sending ---- */

static apr_status_t write_some(conc_conn *c, const void *p, size_t *n,
                               conc_parker *self) {
  for (;;) {
    size_t some = *n;
    apr_status_t st = atomic_load(&c->closed) != 0
                        ? CONC_MISUSE
                        : conc_sys_write(c->handle, p, &some);
    if (st == APR_SUCCESS)
      *n = some;
    if (st == APR_EOF)
      return CONC_CLOSED;
    if (st != APR_EAGAIN)
      return st;
    st = conc_io_wait(c->handle, CONC_WRITABLE, self, CONC_FOREVER);
    if (st != APR_SUCCESS)
      return st;
  }
}

/* *sent counts over several calls. */
static apr_status_t write_all(conc_conn *c, const unsigned char *p, size_t left,
                              size_t *sent, conc_parker *self) {
  while (left > 0) {
    size_t n = left;
    apr_status_t st = write_some(c, p, &n, self);
    if (st != APR_SUCCESS)
      return st;
    p += n;
    left -= n;
    *sent += n;
  }
  return APR_SUCCESS;
}

static apr_status_t write_frame(conc_conn *c, conc_frame_kind kind,
                                const void *data, size_t size,
                                conc_parker *self) {
  enum { SMALL = 1 << 12 };
  unsigned char buf[HEAD + SMALL];
  size_t sent = 0, inside = size <= SMALL ? size : 0;
  buf[0] = (unsigned char)kind;
  for (int i = 1; i < HEAD; i++)
    buf[i] = (unsigned char)((uint64_t)size >> (8 * (i - 1)));
  if (inside != 0) /* one call for both */
    memcpy(buf + HEAD, data, inside);
  apr_status_t st = write_all(c, buf, HEAD + inside, &sent, self);
  if (st == APR_SUCCESS && inside != size)
    st = write_all(c, data, size, &sent, self);
  if (st != APR_SUCCESS && sent != 0) {
    c->broken = true;
    conc_sys_hang_up(c->handle);
  }
  return st;
}

apr_status_t conc_conn_send(conc_conn *c, conc_frame_kind kind,
                            const void *data, size_t size, conc_parker *self) {
  apr_status_t st = conc_latch_acquire(&c->writing, self, CONC_FOREVER);
  if (st != APR_SUCCESS)
    return st;
  if (atomic_load(&c->closed) != 0)
    st = CONC_MISUSE;
  else if (c->broken)
    st = CONC_CLOSED;
  else
    st = write_frame(c, kind, data, size, self);
  (void)conc_latch_release(&c->writing);
  return st;
}

/* ---- Receiving ---- */

/* The head is there: believe it, or not. */
static apr_status_t read_head(conc_conn *c) {
  conc_frame *f = &c->in;
  f->size = 0;
  for (int i = HEAD - 1; i > 0; i--)
    f->size = f->size << 8 | f->head[i];
  bool known = f->head[0] == CONC_FRAME_VALUE || f->head[0] == CONC_FRAME_BYTES;
  return known && f->size <= atomic_load(&c->most) ? APR_SUCCESS : CONC_CORRUPT;
}

/* Memory is for what has come, not for what is said to come. */
static bool make_room(conc_frame *f) {
  size_t have = f->got - HEAD;
  if (have < f->room)
    return true;
  uint64_t room = f->room == 0 ? FIRST_ROOM : 2 * (uint64_t)f->room;
  room = room < f->size ? room : f->size;
  unsigned char *data = conc_realloc(f->data, (size_t)room);
  if (data == NULL)
    return false;
  f->data = data;
  f->room = (size_t)room;
  return true;
}

static bool is_whole(const conc_frame *f) {
  return f->got >= HEAD && f->got - HEAD == f->size;
}

/* Take in what is there: APR_SUCCESS: a message is whole; APR_EAGAIN. */
static apr_status_t read_some(conc_conn *c) {
  conc_frame *f = &c->in;
  apr_status_t st = APR_SUCCESS;
  while (!is_whole(f) && st == APR_SUCCESS) {
    if (f->got >= HEAD && !make_room(f))
      return APR_ENOMEM;
    bool head = f->got < HEAD;
    unsigned char *to = head ? f->head + f->got : f->data + (f->got - HEAD);
    size_t n = head ? HEAD - f->got : f->room - (f->got - HEAD);
    st = conc_sys_read(c->handle, to, &n);
    if (st != APR_SUCCESS)
      break;
    f->got += n;
    if (f->got == HEAD)
      st = read_head(c);
  }
  return st;
}

static apr_status_t fill(conc_conn *c) {
  if (atomic_load(&c->closed) != 0)
    return CONC_MISUSE;
  if (c->ended)
    return CONC_CLOSED;
  apr_status_t st = read_some(c);
  if (st == APR_SUCCESS || st == APR_EAGAIN || st == APR_ENOMEM)
    return st;
  c->ended = true;
  return st == CONC_CORRUPT ? st : CONC_CLOSED;
}

struct filling {
  conc_conn *conn;
  apr_status_t st; /* of the last fill */
};

static bool filled(const void *arg) {
  struct filling *f = *(struct filling *const *)arg;
  f->st = fill(f->conn);
  return f->st != APR_EAGAIN;
}

/* Fill, and look for a while: an answer is often about to come. */
static apr_status_t fill_soon(conc_conn *c, conc_parker *self) {
  struct filling f = {.conn = c}, *p = &f;
  if (!filled(&p))
    (void)conc_spin(self, filled, &p);
  return f.st;
}

apr_status_t conc_conn_receive(conc_conn *c, conc_parker *self,
                               conc_time deadline) {
  apr_status_t st = conc_latch_acquire(&c->reading, self, deadline);
  if (st != APR_SUCCESS)
    return st;
  while ((st = deadline == CONC_NOW ? fill(c) : fill_soon(c, self)) ==
         APR_EAGAIN) {
    if (deadline == CONC_NOW)
      st = APR_TIMEUP;
    else
      st = conc_io_wait(c->handle, CONC_READABLE, self, deadline);
    if (st != APR_SUCCESS)
      break;
  }
  if (st != APR_SUCCESS)
    (void)conc_latch_release(&c->reading);
  return st;
}

void conc_conn_done(conc_conn *c) {
  conc_free(c->in.data);
  c->in = (conc_frame){0};
  (void)conc_latch_release(&c->reading);
}

void conc_conn_keep(conc_conn *c) { (void)conc_latch_release(&c->reading); }

void conc_conn_refuse(conc_conn *c) {
  c->ended = true;
  atomic_store(&c->deaf, 1);
  conc_conn_done(c);
}

bool conc_conn_ready(conc_conn *c, conc_parker *self) {
  apr_status_t st = conc_conn_receive(c, self, CONC_NOW);
  if (st == APR_SUCCESS)
    conc_conn_keep(c);
  return !APR_STATUS_IS_TIMEUP(st) && st != CONC_CANCELLED;
}

/* ---- Closing ---- */

/* Whoever uses the handle is woken by the hang-up, and leaves. */
void conc_conn_close(conc_conn *c, conc_parker *self) {
  if (atomic_exchange(&c->closed, 1) != 0)
    return;
  conc_sys_hang_up(c->handle);
  conc_shield_up(self);
  (void)conc_latch_acquire(&c->reading, self, CONC_FOREVER);
  (void)conc_latch_acquire(&c->writing, self, CONC_FOREVER);
  conc_shield_down(self);
  conc_sys_close(c->handle);
  c->handle = CONC_NO_HANDLE;
  (void)conc_latch_release(&c->writing);
  (void)conc_latch_release(&c->reading);
}

/* ---- Listeners ---- */

static void listener_destroy(conc_obj *o) {
  conc_listener *l = (conc_listener *)o;
  if (l->handle != CONC_NO_HANDLE && l->path != NULL &&
      l->pid == conc_sys_pid())
    conc_sys_unlink(l->path);
  conc_sys_close(l->handle);
  conc_free(l->path);
  conc_obj_free(o);
}

const conc_class conc_listener_class = {"Listener", listener_destroy};

apr_status_t conc_listener_new(conc_listener **out, const conc_address *a,
                               int backlog) {
  conc_listener *l = conc_obj_new(&conc_listener_class, sizeof *l);
  apr_status_t st = APR_ENOMEM;
  if (l == NULL)
    return st;
  l->handle = CONC_NO_HANDLE;
  l->pid = conc_sys_pid();
  if (a->path != NULL) {
    size_t size = strlen(a->path) + 1;
    l->path = conc_alloc(size);
    if (l->path == NULL)
      goto release;
    memcpy(l->path, a->path, size);
  }
  st = conc_sys_listen(&l->handle, a, backlog);
  if (st != APR_SUCCESS) {
    l->handle = CONC_NO_HANDLE; /* the name is somebody else's */
    goto release;
  }
  *out = l;
  return APR_SUCCESS;

release:
  conc_release(&l->obj);
  return st;
}

apr_status_t conc_listener_accept(conc_listener *l, conc_handle *out,
                                  conc_parker *self, conc_time deadline) {
  apr_status_t st = conc_latch_acquire(&l->using, self, deadline);
  if (st != APR_SUCCESS)
    return st;
  for (;;) {
    st = atomic_load(&l->closed) != 0 ? CONC_CLOSED
                                      : conc_sys_accept(l->handle, out);
    if (st != APR_EAGAIN)
      break;
    st = deadline == CONC_NOW
           ? APR_TIMEUP
           : conc_io_wait(l->handle, CONC_READABLE, self, deadline);
    if (st != APR_SUCCESS)
      break;
  }
  if (atomic_load(&l->closed) != 0 && st != APR_SUCCESS)
    st = CONC_CLOSED;
  (void)conc_latch_release(&l->using);
  return st;
}

void conc_listener_close(conc_listener *l, conc_parker *self) {
  if (atomic_exchange(&l->closed, 1) != 0)
    return;
  if (l->path != NULL && l->pid == conc_sys_pid())
    conc_sys_unlink(l->path);
  conc_sys_hang_up(l->handle);
  conc_shield_up(self);
  (void)conc_latch_acquire(&l->using, self, CONC_FOREVER);
  conc_shield_down(self);
  conc_sys_close(l->handle);
  l->handle = CONC_NO_HANDLE;
  (void)conc_latch_release(&l->using);
}
