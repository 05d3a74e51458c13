#include "ipc/tail.h"

#include "wait/mutex.h"

static void destroy(conc_obj *o) {
  conc_sys_close(((conc_tail *)o)->handle);
  conc_obj_free(o);
}

static const conc_class tail_class = {"tail", destroy};

static void keep_locked(conc_tail *t, const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    t->bytes[t->total++ % CONC_TAIL_BYTES] = p[i];
}

/* Everything that is there; false: it has ended. */
static bool take_locked(conc_tail *t) {
  char some[1024];
  for (;;) {
    size_t n = sizeof some;
    apr_status_t st = conc_sys_read(t->handle, some, &n);
    if (st != APR_SUCCESS)
      return st == APR_EAGAIN;
    conc_sys_write_error(some, n);
    keep_locked(t, some, n);
  }
}

static bool on_readable(conc_sys_watch *w) {
  conc_tail *t = (conc_tail *)((char *)w - offsetof(conc_tail, watch));
  conc_mutex_lock(&t->lock);
  bool more = take_locked(t);
  conc_mutex_unlock(&t->lock);
  if (more)
    return true;
  conc_sys_watch_over(w);
  conc_release(&t->obj);
  return false;
}

apr_status_t conc_tail_new(conc_tail **out, conc_handle *theirs) {
  conc_handle ends[2];
  conc_tail *t = conc_obj_new(&tail_class, sizeof *t);
  if (t == NULL)
    return APR_ENOMEM;
  t->handle = CONC_NO_HANDLE;
  apr_status_t st = conc_sys_error_pipe(ends);
  if (st != APR_SUCCESS)
    goto release;
  t->handle = ends[0];
  t->watch = (conc_sys_watch){ends[0], CONC_READABLE, on_readable, 0};
  conc_retain(&t->obj);
  st = conc_sys_watch_start(&t->watch);
  if (st != APR_SUCCESS) {
    conc_release(&t->obj);
    conc_sys_close(ends[1]);
    goto release;
  }
  *theirs = ends[1];
  *out = t;
  return APR_SUCCESS;

release:
  conc_release(&t->obj);
  return st;
}

void conc_tail_drain(conc_tail *t) {
  conc_mutex_lock(&t->lock);
  (void)take_locked(t);
  conc_mutex_unlock(&t->lock);
}

size_t conc_tail_read(conc_tail *t, char *out) {
  conc_mutex_lock(&t->lock);
  uint64_t n = t->total < CONC_TAIL_BYTES ? t->total : CONC_TAIL_BYTES;
  for (uint64_t i = 0; i < n; i++)
    out[i] = t->bytes[(t->total - n + i) % CONC_TAIL_BYTES];
  conc_mutex_unlock(&t->lock);
  return (size_t)n;
}
