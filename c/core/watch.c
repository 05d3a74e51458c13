#include "core/watch.h"

#include "base/mem.h"
#include "wait/lot.h"
#include "wait/mutex.h"

/* One future of a watch.  [c] after add   [l]   [o] */
typedef struct item {
  conc_link link;
  conc_watch *watch;   /* [c] a reference of the link's while it is linked */
  conc_future *future; /* [o] a reference; NULL: told, or not used */
  size_t number;       /* [c] */
  struct item *next;   /* [l] among those that ended */
} item;

/* Items come in blocks, which stay as long as the watch does. */
typedef struct block {
  struct block *next; /* [o] older */
  size_t used, room;  /* [o] */
  size_t passed;      /* [o] looked at by claim */
  item items[];
} block;

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
  size_t left;          /* [o] added, not told */
  block *blocks;        /* [o] the newest */
  item *spare;          /* [o] told, to be used again */
};

static void destroy(conc_obj *o) {
  conc_watch *w = (conc_watch *)o;
  conc_watch_stop(w);
  for (block *b = w->blocks, *next; b != NULL; b = next) {
    next = b->next;
    conc_free(b);
  }
  conc_obj_free(o);
}

const conc_class conc_watch_class = {"watch", destroy};

apr_status_t conc_watch_new(conc_watch **out) {
  conc_watch *w = conc_obj_new(&conc_watch_class, sizeof *w);
  if (w == NULL)
    return APR_ENOMEM;
  *out = w;
  return APR_SUCCESS;
}

apr_status_t conc_watch_reserve(conc_watch *w, size_t n) {
  size_t spare = w->blocks == NULL ? 0 : w->blocks->room - w->blocks->used;
  for (const item *it = w->spare; it != NULL && spare < n; it = it->next)
    spare++;
  if (spare >= n)
    return APR_SUCCESS;
  size_t room = n < 16 ? 16 : n;
  block *b = conc_alloc(sizeof *b + room * sizeof b->items[0]);
  if (b == NULL)
    return APR_ENOMEM;
  /* What is left of the block before is not lost. */
  for (block *old = w->blocks; old != NULL && old->used < old->room;) {
    item *it = &old->items[old->used++];
    *it = (item){.next = w->spare};
    w->spare = it;
  }
  *b = (block){.next = w->blocks, .room = room};
  w->blocks = b;
  return APR_SUCCESS;
}

static item *take_item(conc_watch *w) {
  item *it = w->spare;
  if (it != NULL)
    w->spare = it->next;
  else
    it = &w->blocks->items[w->blocks->used++];
  return it;
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

void conc_watch_add(conc_watch *w, conc_future *f, size_t number) {
  item *it = take_item(w);
  *it = (item){.link = {.run = run}, .watch = w, .future = f, .number = number};
  conc_retain(&f->obj);
  w->left++;
  conc_retain(&w->obj);
  if (!conc_future_link(f, &it->link)) {
    append(w, it);
    conc_release(&w->obj);
  }
}

conc_future *conc_watch_next(conc_watch *w, size_t *number) {
  conc_mutex_lock(&w->lock);
  item *it = w->first;
  if (it != NULL) {
    w->first = it->next;
    atomic_fetch_sub(&w->ready, 1);
  }
  conc_mutex_unlock(&w->lock);
  if (it == NULL)
    return NULL;
  conc_future *f = it->future;
  *number = it->number;
  it->future = NULL;
  it->next = w->spare;
  w->spare = it;
  w->left--;
  return f;
}

size_t conc_watch_left(const conc_watch *w) { return w->left; }

conc_future *conc_watch_claim(conc_watch *w, conc_worker *worker) {
  for (block *b = w->blocks; b != NULL; b = b->next)
    for (; b->passed < b->used; b->passed++) {
      conc_future *f = b->items[b->passed].future;
      if (f != NULL && conc_pool_claim(worker, f))
        return f;
    }
  return NULL;
}

conc_word *conc_watch_word(conc_watch *w) { return &w->ends; }

bool conc_watch_ready(const conc_watch *w) {
  return atomic_load(&w->ready) != 0;
}

static void drop(conc_watch *w, item *it) {
  conc_future *f = it->future;
  if (f == NULL)
    return;
  it->future = NULL;
  if (conc_future_unlink(f, &it->link))
    conc_release(&w->obj);
  conc_release(&f->obj);
}

void conc_watch_stop(conc_watch *w) {
  conc_mutex_lock(&w->lock);
  bool again = w->stopped;
  w->stopped = true;
  conc_mutex_unlock(&w->lock);
  for (block *b = w->blocks; b != NULL && !again; b = b->next)
    for (size_t i = 0; i < b->used; i++)
      drop(w, &b->items[i]);
  w->left = 0;
}
