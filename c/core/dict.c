/*
 * Under the lock there is only the table: memory is taken before and given
 * back after, and so are values.  A value is kept in 64 bytes, so that reading
 * it is a copy of those and a count for each object in it.
 */

#include "core/dict.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"
#include "core/table.h"
#include "wait/mutex.h"

/*
 *   [c] constant after new   [l] guarded by 'lock', a leaf   [a] atomic
 */
struct conc_dict {
  conc_obj obj;
  conc_word lock;
  uint64_t seed;      /* [c] of the hash */
  uint64_t version;   /* [l] the last one given out */
  conc_table table;   /* [l] all values in it are small: see 'large' */
  _Atomic size_t len; /* [a] table.len for those without the lock */
};

/* ---- Large values: a message is kept once, and copies refer to it ---- */

typedef struct large {
  conc_obj obj;
  conc_msg msg; /* [c] */
} large;

static void destroy_large(conc_obj *o) {
  conc_msg_fini(&((large *)o)->msg);
  conc_obj_free(o);
}

static const conc_class large_class = {"large value", destroy_large};

/*
 * Make *to the message that the Dict keeps for *msg: inline, so that it can
 * be copied under the lock.  Nothing owns *to if it is not stored.
 */
static apr_status_t wrap(conc_msg *to, const conc_msg *msg) {
  *to = *msg;
  if (!msg->heap)
    return APR_SUCCESS;
  large *big = conc_obj_new(&large_class, sizeof *big);
  if (big == NULL)
    return APR_ENOMEM;
  big->msg = *msg;
  return conc_msg_make(to, NULL, 0, &(conc_obj *){&big->obj}, 1);
}

/* *to was not stored: *msg stays what it is. */
static void unwrap(conc_msg *to, const conc_msg *msg) {
  if (msg->heap)
    conc_obj_free(conc_msg_refs(to)[0]);
}

conc_msg *conc_dict_value(conc_msg *msg) {
  if (msg->size != 0 || msg->nrefs != 1)
    return msg;
  conc_obj *o = conc_msg_refs(msg)[0];
  return o->cls == &large_class ? &((large *)o)->msg : msg;
}

static conc_msg copy_value(const conc_msg *value) {
  conc_msg msg = *value;
  for (uint32_t i = 0; i < msg.nrefs; i++)
    conc_retain(conc_msg_refs(&msg)[i]);
  return msg;
}

/* ---- Life ---- */

static void destroy(conc_obj *o) {
  conc_table_fini(&((conc_dict *)o)->table);
  conc_obj_free(o);
}

const conc_class conc_dict_class = {"Dict", destroy};

apr_status_t conc_dict_new(conc_dict **out) {
  conc_dict *d = conc_obj_new(&conc_dict_class, sizeof *d);
  if (d == NULL)
    return APR_ENOMEM;
  /* Nobody can prepare keys that all fall into one bucket. */
  d->seed = (uintptr_t)d ^ (uint64_t)conc_sys_now() << 20;
  d->table = CONC_TABLE_EMPTY;
  *out = d;
  return APR_SUCCESS;
}

size_t conc_dict_len(const conc_dict *d) { return atomic_load(&d->len); }

/* ---- One entry ---- */

bool conc_dict_get(conc_dict *d, const conc_key *key, conc_msg *msg,
                   uint64_t *version) {
  uint64_t hash = conc_key_hash(key, d->seed), seen = 0;
  conc_mutex_lock(&d->lock);
  conc_node *n = *conc_table_find(&d->table, key, hash);
  if (n != NULL) {
    *msg = copy_value(&n->value);
    seen = n->version;
  }
  conc_mutex_unlock(&d->lock);
  if (version != NULL)
    *version = seen;
  return n != NULL;
}

/* A write under way, and what it leaves to be done without the lock. */
typedef struct writing {
  const conc_key *key;
  uint64_t hash;
  const uint64_t *expected; /* the version to replace, or NULL */
  conc_msg value;           /* in: to be stored; out: what was there */
  conc_node *fresh;         /* for an insertion */
  conc_node *gone;          /* has left the table, without its value */
  unsigned lacks;           /* a segment to supply, or 0 */
  conc_node **segment;      /* to be freed */
} writing;

static bool is_empty(const conc_msg *m) {
  return m->size == 0 && m->nrefs == 0;
}

static void insert_locked(conc_dict *d, writing *w, conc_node **at) {
  w->fresh->value = conc_msg_take(&w->value);
  w->fresh->version = ++d->version;
  w->lacks = conc_table_insert(&d->table, at, w->fresh);
  w->fresh = NULL;
}

static void remove_locked(conc_dict *d, writing *w, conc_node **at) {
  w->gone = *at;
  w->value = conc_msg_take(&w->gone->value);
  w->segment = conc_table_remove(&d->table, at);
}

/* APR_EAGAIN: another version.  APR_INCOMPLETE: call again with 'fresh'. */
static apr_status_t write_locked(conc_dict *d, writing *w) {
  conc_node **at = conc_table_find(&d->table, w->key, w->hash), *n = *at;
  if (w->expected != NULL && *w->expected != (n == NULL ? 0 : n->version))
    return APR_EAGAIN;
  if (n == NULL && is_empty(&w->value))
    return APR_SUCCESS;
  if (n == NULL && w->fresh == NULL)
    return APR_INCOMPLETE;
  if (n == NULL) {
    insert_locked(d, w, at);
  } else if (is_empty(&w->value)) {
    remove_locked(d, w, at);
  } else {
    conc_msg old = n->value;
    n->value = w->value;
    n->version = ++d->version;
    w->value = old;
  }
  return APR_SUCCESS;
}

static apr_status_t write_once(conc_dict *d, writing *w) {
  conc_mutex_lock(&d->lock);
  apr_status_t st = write_locked(d, w);
  if (d->table.len != atomic_load(&d->len))
    atomic_store(&d->len, d->table.len);
  conc_mutex_unlock(&d->lock);
  return st;
}

/* Growth lacks a segment.  Without memory, chains get longer for a while. */
static void supply(conc_dict *d, unsigned s) {
  conc_node **segment = conc_table_segment(s);
  if (segment == NULL)
    return;
  conc_mutex_lock(&d->lock);
  segment = conc_table_supply(&d->table, s, segment);
  conc_mutex_unlock(&d->lock);
  conc_free(segment);
}

static void clean_up(conc_dict *d, writing *w) {
  if (w->fresh != NULL)
    conc_node_release(w->fresh);
  if (w->gone != NULL)
    conc_node_release(w->gone);
  if (w->lacks != 0)
    supply(d, w->lacks);
  conc_free(w->segment);
}

static apr_status_t store(conc_dict *d, const conc_key *key,
                          const uint64_t *expected, conc_msg *msg) {
  writing w = {
    .key = key, .hash = conc_key_hash(key, d->seed), .expected = expected};
  apr_status_t st = wrap(&w.value, msg);
  if (st != APR_SUCCESS)
    return st;
  st = write_once(d, &w);
  if (st == APR_INCOMPLETE) {
    w.fresh = conc_node_new(key, w.hash);
    st = w.fresh == NULL ? APR_ENOMEM : write_once(d, &w);
  }
  if (st == APR_SUCCESS)
    *msg = w.value;
  else
    unwrap(&w.value, msg);
  clean_up(d, &w);
  return st;
}

apr_status_t conc_dict_set(conc_dict *d, const conc_key *key, conc_msg *msg) {
  return store(d, key, NULL, msg);
}

apr_status_t conc_dict_replace(conc_dict *d, const conc_key *key,
                               uint64_t version, conc_msg *msg) {
  return store(d, key, &version, msg);
}

/* ---- All entries ---- */

void conc_dict_clear(conc_dict *d) {
  conc_mutex_lock(&d->lock);
  conc_table old = d->table;
  d->table = CONC_TABLE_EMPTY;
  atomic_store(&d->len, 0);
  conc_mutex_unlock(&d->lock);
  conc_table_fini(&old);
}

static void destroy_snapshot(conc_obj *o) {
  conc_dict_snapshot *s = (conc_dict_snapshot *)o;
  for (size_t i = 0; i < s->n; i++) {
    conc_msg_fini(&s->items[i].value);
    conc_node_release(
      (conc_node *)((char *)s->items[i].key - offsetof(conc_node, key)));
  }
  conc_obj_free(o);
}

static const conc_class snapshot_class = {"snapshot", destroy_snapshot};

static void copy_locked(conc_dict *d, conc_dict_snapshot *s) {
  for (size_t b = 0; b < d->table.nbuckets; b++) {
    conc_node *n = conc_table_bucket(&d->table, b);
    for (; n != NULL; n = n->next) {
      conc_node_retain(n);
      s->items[s->n].key = &n->key;
      s->items[s->n++].value = copy_value(&n->value);
    }
  }
}

apr_status_t conc_dict_copy(conc_dict *d, conc_dict_snapshot **out) {
  conc_dict_snapshot *s = NULL;
  size_t room, len;
  do { /* there may be more by the time there is memory */
    if (s != NULL)
      conc_obj_free(&s->obj);
    room = conc_dict_len(d) * 9 / 8 + 8;
    s = conc_obj_new(&snapshot_class, sizeof *s + room * sizeof *s->items);
    if (s == NULL)
      return APR_ENOMEM;
    conc_mutex_lock(&d->lock);
    len = d->table.len;
    if (len <= room)
      copy_locked(d, s);
    conc_mutex_unlock(&d->lock);
  } while (len > room);
  *out = s;
  return APR_SUCCESS;
}
