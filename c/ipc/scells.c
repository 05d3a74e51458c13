#include "ipc/scells.h"

#include <string.h>

#include "ipc/robust.h"
#include "ipc/srlock.h"

/*
 * The object.
 *   [c] constant once published   [l] guarded by 'latch'
 */
typedef struct word {
  conc_cell_type type; /* [c] */
  uint8_t lockless;    /* [c] */
  uint64_t n;          /* [c] */
  conc_word latch;
  conc_ref lock; /* [l] a place: empty until asked for, then it stays */
  _Alignas(64) char elements[];
} word;

/* ---- Life ---- */

static void look_at(conc_scells *s) {
  word *w = s->proxy.at;
  s->view.obj.cls = s->proxy.obj.cls; /* it is no object, only looks like one */
  s->view.type = w->type;
  s->view.lockless = w->lockless;
  s->view.n = (size_t)w->n;
  s->view.elements = w->elements;
}

static bool sound(const word *w, size_t room) {
  conc_cell_type type = w->type, parsed;
  return memchr(type.code, 0, sizeof type.code) != NULL &&
         conc_cell_parse(type.code, strlen(type.code), &parsed) &&
         parsed.kind == type.kind && parsed.size == type.size &&
         w->n <= (room - sizeof *w) / type.size;
}

static apr_status_t open_cells(conc_proxy *p) {
  if (!sound(p->at, conc_heap_size(conc_proxy_offset(p))))
    return CONC_CORRUPT;
  look_at((conc_scells *)p);
  return APR_SUCCESS;
}

static void close_cells(conc_proxy *p) {
  conc_release(atomic_load(&((conc_scells *)p)->view.lock));
}

static void destroy(void *object) { conc_shared_drop(&((word *)object)->lock); }

const conc_shared_class conc_svalue_class = {
  .cls = {"Value", conc_proxy_destroy},
  .id = CONC_SHARED_VALUE,
  .size = sizeof(conc_scells),
  .least = sizeof(word),
  .open = open_cells,
  .close = close_cells,
  .destroy = destroy};

const conc_shared_class conc_sarray_class = {
  .cls = {"Array", conc_proxy_destroy},
  .id = CONC_SHARED_ARRAY,
  .size = sizeof(conc_scells),
  .least = sizeof(word),
  .open = open_cells,
  .close = close_cells,
  .destroy = destroy};

apr_status_t conc_scells_new(conc_scells **out, const conc_cells_conf *conf) {
  const conc_shared_class *cls = (const conc_shared_class *)conf->cls;
  conc_proxy *p;
  if (conf->n > (SIZE_MAX / 2 - sizeof(word)) / conf->type.size)
    return CONC_EXHAUSTED;
  apr_status_t st =
    conc_shared_new(&p, cls, sizeof(word) + conf->n * conf->type.size);
  if (st != APR_SUCCESS)
    return st;
  conc_scells *s = (conc_scells *)p;
  word *w = p->at;
  w->type = conf->type;
  w->lockless = conf->lockless;
  w->n = conf->n;
  look_at(s);
  conc_shared_publish(p);
  if (conf->lock != NULL) {
    conc_shared_put(&w->lock, (const conc_proxy *)conf->lock);
    atomic_store(&s->view.lock, conc_retain(conf->lock));
  }
  *out = s;
  return APR_SUCCESS;
}

/* ---- The lock ---- */

static apr_status_t make_lock(word *w, conc_proxy **out) {
  conc_srlock *fresh;
  apr_status_t st = conc_srlock_new(&fresh);
  if (st != APR_SUCCESS)
    return st;
  conc_shared_put(&w->lock, &fresh->proxy);
  *out = &fresh->proxy;
  return APR_SUCCESS;
}

/* The proxy of the lock that all processes agree on. */
static apr_status_t find_lock(word *w, conc_proxy **out) {
  if (conc_robust_acquire(&w->latch, NULL, CONC_FOREVER) == CONC_ABANDONED)
    conc_heap_settle();
  uint64_t at = atomic_load(&w->lock);
  apr_status_t st = at == 0 ? make_lock(w, out) : conc_shared_get(out, at);
  (void)conc_robust_release(&w->latch);
  return st;
}

apr_status_t conc_scells_lock(conc_scells *s, conc_obj **lock) {
  conc_proxy *found;
  conc_obj *none = NULL;
  if (s->view.lockless)
    return CONC_MISUSE;
  *lock = atomic_load(&s->view.lock);
  if (*lock != NULL)
    return APR_SUCCESS;
  apr_status_t st = find_lock(s->proxy.at, &found);
  if (st != APR_SUCCESS)
    return st;
  /* Another thread may have been faster, and has the same proxy. */
  if (!atomic_compare_exchange_strong(&s->view.lock, &none, &found->obj))
    conc_release(&found->obj);
  *lock = &found->obj;
  return APR_SUCCESS;
}
