#include "core/inbox.h"

#include "base/mem.h"
#include "base/status.h"
#include "wait/mutex.h"

/*
 * A note is linked to its future, then in the list of those that came in, then
 * freed.  It keeps the inbox; it keeps the future only once that is done.
 */
typedef struct note {
  conc_link link;
  conc_inbox *inbox;
  conc_future *future;
  struct note *next; /* [l] */
} note;

/* [l] lock, a leaf */
struct conc_inbox {
  conc_obj obj;
  conc_word lock;
  conc_parker *owner; /* [l] NULL: closed */
  note *first, *last; /* [l] came in */
};

static void destroy(conc_obj *o) {
  conc_inbox_close((conc_inbox *)o);
  conc_obj_free(o);
}

const conc_class conc_inbox_class = {"inbox", destroy};

apr_status_t conc_inbox_new(conc_inbox **out, conc_parker *owner) {
  conc_inbox *b = conc_obj_new(&conc_inbox_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  b->owner = owner;
  *out = b;
  return APR_SUCCESS;
}

/* The parker is told under the lock: after close it has another owner. */
static void come_in(conc_link *l) {
  note *n = (note *)l;
  conc_inbox *b = n->inbox;
  conc_mutex_lock(&b->lock);
  bool open = b->owner != NULL;
  if (open) {
    conc_retain(&n->future->obj);
    n->next = NULL;
    if (b->first == NULL)
      b->first = n;
    else
      b->last->next = n;
    b->last = n;
    conc_parker_ask(b->owner, CONC_ASKED_NOTES);
  }
  conc_mutex_unlock(&b->lock);
  if (!open)
    conc_free(n);
  conc_release(&b->obj);
}

apr_status_t conc_inbox_expect(conc_inbox *b, conc_future *f) {
  note *n = conc_alloc(sizeof *n);
  if (n == NULL)
    return APR_ENOMEM;
  *n = (note){.link = {.run = come_in}, .inbox = b, .future = f};
  conc_retain(&b->obj);
  if (!conc_future_link(f, &n->link)) {
    conc_release(&b->obj);
    conc_free(n);
  }
  return APR_SUCCESS;
}

conc_future *conc_inbox_next(conc_inbox *b) {
  conc_mutex_lock(&b->lock);
  note *n = b->first;
  if (n != NULL)
    b->first = n->next;
  if (b->first != NULL && b->owner != NULL)
    atomic_fetch_or(&b->owner->asked, CONC_ASKED_NOTES);
  conc_mutex_unlock(&b->lock);
  if (n == NULL)
    return NULL;
  conc_future *f = n->future;
  conc_free(n);
  return f;
}

void conc_inbox_close(conc_inbox *b) {
  conc_future *f;
  conc_mutex_lock(&b->lock);
  b->owner = NULL;
  conc_mutex_unlock(&b->lock);
  while ((f = conc_inbox_next(b)) != NULL)
    conc_release(&f->obj);
}
