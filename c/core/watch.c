#include "core/watch.h"

#include "wait/lot.h"
#include "wait/mutex.h"

/* One future of a watch.  [c] after add   [l] */
typedef struct item {
  conc_link link;
  conc_watch *watch;   /* [c] a reference of the link's while it is linked */
  conc_future *future; /* [o] a reference, or NULL */
  struct item *next;   /* [l] among those that ended */
} item;

/*
 * Enders append to the list of ended ones and change 'ends', on which the user
 * of the watch sleeps.  A link that could not be taken back is about to be run
 * by an ender: it keeps the watch alive, and does nothing once 'stopped'.
 *   [o] of the user   [l] lock, a leaf   [a] atomic
 */
struct conc_watch {
  conc_obj obj;
  conc_word ends; /* [a] */
  conc_word lock;
  item *first, *last;   /* [l] ended, not told */
  _Atomic size_t ready; /* [a] the length of that list */
  bool stopped;         /* [l] */
  size_t n, told;       /* [o] */
  size_t passed;        /* [o] looked at by claim */
  item items[];
};

static void destroy(conc_obj *o) {
  conc_watch_stop((conc_watch *)o);
  conc_obj_free(o);
}

const conc_class conc_watch_class = {"watch", destroy};

apr_status_t conc_watch_new(conc_watch **out, size_t n) {
  conc_watch *w =
    conc_obj_new(&conc_watch_class, sizeof *w + n * sizeof w->items[0]);
  if (w == NULL)
    return APR_ENOMEM;
  *out = w;
  return APR_SUCCESS;
}

static void append(conc_watch *w, item *it) {
  conc_mutex_lock(&w->lock);
  if (!w->stopped) {
    it->next = NULL;
    if (w->first == NULL)
      w->first = it;
    else
      w->last->next = it;
    w->last = it;
    atomic_fetch_add(&w->ready, 1);
  }
  conc_mutex_unlock(&w->lock);
}

static void run(conc_link *l) {
  conc_watch *w = ((item *)l)->watch;
  append(w, (item *)l);
  atomic_fetch_add(&w->ends, 1);
  conc_wake(&w->ends, CONC_ALL);
  conc_release(&w->obj);
}

void conc_watch_add(conc_watch *w, conc_future *f) {
  item *it = &w->items[w->n++];
  conc_retain(&f->obj);
  it->link.run = run;
  it->watch = w;
  it->future = f;
  conc_retain(&w->obj);
  if (!conc_future_link(f, &it->link)) {
    append(w, it);
    conc_release(&w->obj);
  }
}

bool conc_watch_next(conc_watch *w, size_t *number) {
  conc_mutex_lock(&w->lock);
  item *it = w->first;
  if (it != NULL) {
    w->first = it->next;
    atomic_fetch_sub(&w->ready, 1);
  }
  conc_mutex_unlock(&w->lock);
  if (it == NULL)
    return false;
  w->told++;
  *number = (size_t)(it - w->items);
  return true;
}

conc_future *conc_watch_future(conc_watch *w, size_t number) {
  return w->items[number].future;
}

void conc_watch_forget(conc_watch *w, size_t number) {
  conc_future *f = w->items[number].future;
  w->items[number].future = NULL;
  conc_release(&f->obj);
}

size_t conc_watch_left(const conc_watch *w) { return w->n - w->told; }

conc_future *conc_watch_claim(conc_watch *w, conc_worker *worker) {
  while (w->passed < w->n) {
    conc_future *f = w->items[w->passed++].future;
    if (f != NULL && conc_pool_claim(worker, f))
      return f;
  }
  return NULL;
}

conc_word *conc_watch_word(conc_watch *w) { return &w->ends; }

bool conc_watch_ready(const conc_watch *w) {
  return atomic_load(&w->ready) != 0;
}

void conc_watch_stop(conc_watch *w) {
  conc_mutex_lock(&w->lock);
  bool again = w->stopped;
  w->stopped = true;
  conc_mutex_unlock(&w->lock);
  for (size_t i = 0; !again && i < w->n; i++) {
    conc_future *f = w->items[i].future;
    if (f == NULL)
      continue;
    if (conc_future_unlink(f, &w->items[i].link))
      conc_release(&w->obj);
    conc_release(&f->obj);
  }
}
