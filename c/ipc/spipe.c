#include "ipc/spipe.h"

#include "base/status.h"

/* Bytes that may be on their way in one direction, more or less. */
enum { MOST = 64 << 10, UNIT = 64 };

/* The pipe: toward[i] is what end i receives. */
typedef struct spipe {
  conc_ring toward[2];
} spipe;

/* An end.  [c] constant once 'pipe' is set; destroy empties it */
typedef struct end {
  conc_ref pipe; /* [c] */
  uint32_t side; /* [c] 0 or 1 */
  uint32_t in;   /* [c] it receives */
  uint32_t out;  /* [c] it sends */
} end;

static void destroy_pipe(void *object) {
  spipe *p = object;
  conc_ring_destroy(&p->toward[0]);
  conc_ring_destroy(&p->toward[1]);
}

const conc_shared_class conc_spipe_class = {.cls = {"Pipe", NULL},
                                            .id = CONC_SHARED_PIPE,
                                            .least = sizeof(spipe),
                                            .destroy = destroy_pipe};

/* The pipe that an end holds, as far as one can see; or NULL. */
static spipe *pipe_of(const end *e) {
  uint64_t at = atomic_load(&e->pipe);
  bool good = conc_heap_valid(at) &&
              conc_shared_class_of(at) == CONC_SHARED_PIPE &&
              conc_heap_size(at) >= sizeof(spipe) && e->side <= 1;
  return good ? conc_heap_at(at) : NULL;
}

/* What nobody will receive may hold ends of other pipes: it goes now. */
static void drain(conc_ring *r) {
  conc_item item;
  while (conc_ring_pop(r, &item, NULL, CONC_NOW) == APR_SUCCESS)
    conc_item_fini(&item);
}

/*
 * Done again it finds rings that are closed and empty.  In this order: who has
 * learned that nothing more will come learns that nobody hears him, too.
 */
static void destroy_end(void *object) {
  end *e = object;
  spipe *p = pipe_of(e);
  if (p == NULL)
    return;
  conc_ring_close(&p->toward[e->side], CONC_RING_NO_MORE | CONC_RING_NOBODY);
  conc_ring_close(&p->toward[!e->side], CONC_RING_NO_MORE);
  drain(&p->toward[e->side]);
  conc_shared_drop(&e->pipe);
}

static apr_status_t open_end(conc_proxy *proxy) {
  const end *e = proxy->at;
  conc_spipe_end *mine = (conc_spipe_end *)proxy;
  spipe *p = pipe_of(e);
  if (p == NULL)
    return CONC_CORRUPT;
  mine->in = e->in ? &p->toward[e->side] : NULL;
  mine->out = e->out ? &p->toward[!e->side] : NULL;
  return APR_SUCCESS;
}

const conc_shared_class conc_spipe_end_class = {
  .cls = {"Connection", conc_proxy_destroy},
  .id = CONC_SHARED_PIPE_END,
  .size = sizeof(conc_spipe_end),
  .least = sizeof(end),
  .open = open_end,
  .destroy = destroy_end};

/* The pipe, in *place of the ledger. */
static apr_status_t new_pipe(conc_ref **place) {
  conc_ref *mine = conc_ledger_get();
  if (mine == NULL)
    return CONC_EXHAUSTED;
  apr_status_t st = conc_heap_alloc(mine, sizeof(spipe));
  if (st != APR_SUCCESS) {
    conc_ledger_put(mine);
    return st;
  }
  spipe *p = conc_heap_at(atomic_load(mine));
  for (int i = 0; i < 2; i++) {
    p->toward[i] = (conc_ring){.most = MOST / UNIT};
  }
  conc_shared_brand(atomic_load(mine), CONC_SHARED_PIPE);
  *place = mine;
  return APR_SUCCESS;
}

static apr_status_t new_end(conc_spipe_end **out, uint32_t side, bool duplex) {
  conc_proxy *proxy;
  apr_status_t st = conc_shared_new(&proxy, &conc_spipe_end_class, sizeof(end));
  if (st != APR_SUCCESS)
    return st;
  end *e = proxy->at;
  e->side = side;
  e->in = duplex || side == 0;
  e->out = duplex || side == 1;
  conc_shared_publish(proxy);
  *out = (conc_spipe_end *)proxy;
  return APR_SUCCESS;
}

/* The second end to get the pipe gets it last: before, nothing is closed. */
static void join(conc_spipe_end *const ends[2], conc_ref *place) {
  conc_proxy holder = {.at = conc_heap_at(atomic_load(place))};
  for (int i = 0; i < 2; i++) {
    conc_shared_put(&((end *)ends[i]->proxy.at)->pipe, &holder);
    (void)open_end(&ends[i]->proxy);
  }
}

apr_status_t conc_spipe_new(conc_spipe_end *out[2], bool duplex) {
  conc_spipe_end *ends[2];
  conc_ref *place;
  apr_status_t st = conc_heap_open();
  if (st == APR_SUCCESS)
    st = new_end(&ends[0], 0, duplex);
  if (st != APR_SUCCESS)
    return st;
  st = new_end(&ends[1], 1, duplex);
  if (st != APR_SUCCESS)
    goto release_first;
  st = new_pipe(&place);
  if (st != APR_SUCCESS)
    goto release_second;
  join(ends, place);
  conc_shared_drop(place);
  conc_ledger_put(place);
  out[0] = ends[0];
  out[1] = ends[1];
  return APR_SUCCESS;

release_second:
  conc_release(&ends[1]->proxy.obj);
release_first:
  conc_release(&ends[0]->proxy.obj);
  return st;
}

/* It takes nothing, so what it was woken for is for others. */
apr_status_t conc_spipe_poll(conc_spipe_end *e, conc_parker *self,
                             conc_time deadline) {
  conc_ring *r = e->in;
  apr_status_t st =
    conc_sgate_await(&r->items, conc_ring_has_item, r, self, deadline);
  if (st == APR_SUCCESS)
    conc_sgate_notify(&r->items);
  return st;
}
