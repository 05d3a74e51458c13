#ifndef CONC_CARGO_H
#define CONC_CARGO_H

/*
 * Messages in rings: how a conc_msg is laid out in a conc_load, and back.  The
 * tag says which way it went.
 */

#include "ipc/ring.h"
#include "ipc/wire.h"

enum {
  CONC_CARGO_PLAIN, /* the bytes of a message without references */
  CONC_CARGO_WIRE,  /* wire.h */
  CONC_CARGO_BYTES  /* bytes that are no message: see spipe.h */
};

/* *m becomes a message without references, lent by the item: not to be freed */
static inline void conc_cargo_view(conc_msg *m, const conc_item *item) {
  *m = (conc_msg){.size = item->size, .heap = true};
  m->u.data = (unsigned char *)(uintptr_t)item->data; /* it is only read */
}

/*
 * *m becomes the message in an item (BYTES: one of just these bytes), which is
 * done with.  APR_ENOMEM, CONC_EXHAUSTED; APR_EINVAL, CONC_CORRUPT: it is none.
 */
apr_status_t conc_cargo_unload(conc_msg *m, conc_item *item);

/* The same for WIRE; the item stays. */
apr_status_t conc_cargo_decode(conc_msg *m, const conc_item *item);

/* Fill in w->shared, which was empty, with the item's objects, each retained. */
apr_status_t conc_cargo_shared(conc_wire *w, const conc_item *item);

#endif
