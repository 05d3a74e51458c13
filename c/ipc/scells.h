#ifndef CONC_SCELLS_H
#define CONC_SCELLS_H

/*
 * The cells of core/cells.h in shared memory.  A proxy has a conc_cells of its
 * own, whose elements are the shared ones, so that everything that is done to
 * elements is done to these by the same code.
 */

#include "core/cells.h"
#include "ipc/shared.h"

/*
 *   [c] constant once it is open   [a] atomic
 */
typedef struct conc_scells {
  conc_proxy proxy;
  conc_cells view; /* [c]; view.lock [a]: the proxy of the lock, or NULL */
} conc_scells;

extern const conc_shared_class conc_svalue_class, conc_sarray_class;

/*
 * As conc_cells_new; conf->cls is that of one of the two, conf->lock the proxy
 * of a Lock or RLock.  CONC_EXHAUSTED.
 */
apr_status_t conc_scells_new(conc_scells **out, const conc_cells_conf *conf);

/* As conc_cells_lock.  Also CONC_EXHAUSTED. */
apr_status_t conc_scells_lock(conc_scells *s, conc_obj **lock);

static inline bool conc_is_scells(const conc_obj *o) {
  return o->cls == &conc_sarray_class.cls || o->cls == &conc_svalue_class.cls;
}

/* The proxy that a view is in. */
static inline conc_scells *conc_scells_of(conc_cells *view) {
  return (conc_scells *)(void *)((char *)view - offsetof(conc_scells, view));
}

#endif
