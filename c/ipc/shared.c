/*
 * Proxies are found by the offset of their object in a hash table.  The table
 * holds no reference: a proxy whose count is 0 is on its way out, and whoever
 * meets it there makes another.
 */

#include "ipc/shared.h"

#include <string.h>

#include "base/mem.h"
#include "ipc/layout.h"
#include "ipc/step.h"
#include "wait/mutex.h"

/* ---- Places ---- */

static void adjust(conc_txn *t, uint64_t offset, int by) {
  conc_block *b = conc_block_at(offset);
  conc_txn_write(t, &b->mark, atomic_load(&b->mark) + (uint64_t)(int64_t)by);
}

static void put(conc_ref *place, uint64_t offset) {
  conc_txn *t = conc_shard(offset);
  conc_txn_begin(t);
  adjust(t, offset, 1);
  conc_txn_write(t, place, offset);
  conc_txn_commit(t);
}

void conc_shared_put(conc_ref *place, const conc_proxy *p) {
  put(place, conc_proxy_offset(p));
}

void conc_heap_move(conc_ref *to, conc_ref *from) {
  uint64_t offset = atomic_load(from);
  conc_txn *t = conc_shard(offset);
  conc_txn_begin(t);
  conc_txn_write(t, to, offset);
  conc_txn_write(t, from, 0);
  conc_txn_commit(t);
}

/*
 * What a destroy drops for the last time is moved to the ledger, and destroyed
 * by the one at the bottom of the stack: no chain of objects recurses.
 */
static _Thread_local struct {
  bool active;
  conc_ref **list;
  size_t n, room;
} doom;

static bool put_off(conc_ref *place) {
  if (doom.n == doom.room) {
    size_t room = doom.room == 0 ? 16 : doom.room * 2;
    conc_ref **list = conc_realloc(doom.list, room * sizeof *list);
    if (list == NULL)
      return false;
    doom.list = list;
    doom.room = room;
  }
  conc_ref *mine = conc_ledger_get();
  if (mine == NULL)
    return false;
  conc_heap_move(mine, place);
  doom.list[doom.n++] = mine;
  return true;
}

static void destroy_at(conc_ref *place) {
  uint64_t offset = atomic_load(place);
  uint16_t cls = conc_mark_class(atomic_load(&conc_block_at(offset)->mark));
  if (cls < CONC_SHARED_CLASSES && conc_shared_classes[cls] != NULL &&
      conc_shared_classes[cls]->destroy != NULL)
    conc_shared_classes[cls]->destroy(conc_heap_at(offset));
  conc_step();
  conc_heap_free(place);
}

static void destroy_all(conc_ref *place) {
  doom.active = true;
  destroy_at(place);
  while (doom.n > 0) {
    conc_ref *next = doom.list[--doom.n];
    destroy_at(next);
    conc_ledger_put(next);
  }
  doom.active = false;
  conc_free(doom.list);
  doom.list = NULL;
  doom.room = 0;
}

/* One place less, unless it is the last: then nobody else can come to it.  What
   is no object (somebody has written nonsense) is only forgotten. */
static bool drop_unless_last(conc_ref *place) {
  uint64_t offset = atomic_load(place);
  if (!conc_heap_valid(offset)) {
    atomic_store(place, 0);
    return true;
  }
  conc_txn *t = conc_shard(offset);
  conc_txn_begin(t);
  if (conc_mark_refs(atomic_load(&conc_block_at(offset)->mark)) == 1) {
    conc_txn_abort(t);
    return false;
  }
  adjust(t, offset, -1);
  conc_txn_write(t, place, 0);
  conc_txn_commit(t);
  return true;
}

void conc_shared_drop(conc_ref *place) {
  if (conc_heap_left() || atomic_load(place) == 0 || drop_unless_last(place))
    return;
  if (!doom.active)
    destroy_all(place);
  else if (!put_off(place))
    destroy_at(place);
}

/* ---- The table of proxies ---- */

/* [l] under 'lock' */
static struct {
  conc_word lock;
  conc_proxy **buckets; /* [l] a power of two of them; NULL: none yet */
  size_t nbuckets, n;   /* [l] */
} table;

static conc_proxy **bucket_locked(const void *at) {
  uint64_t hash = (conc_heap_offset(at) >> 6) * 0x9e3779b97f4a7c15u;
  return &table.buckets[(hash >> 32) & (table.nbuckets - 1)];
}

static void rehash_locked(conc_proxy **fresh, size_t nfresh) {
  conc_proxy **old = table.buckets;
  size_t nold = table.nbuckets;
  table.buckets = fresh;
  table.nbuckets = nfresh;
  for (size_t i = 0; i < nold; i++)
    for (conc_proxy *p = old[i], *next; p != NULL; p = next) {
      next = p->next;
      conc_proxy **b = bucket_locked(p->at);
      p->next = *b;
      *b = p;
    }
  conc_free(old);
}

/* Without memory to grow it is slower; without any it cannot begin. */
static bool make_room_locked(void) {
  size_t n = table.nbuckets == 0 ? 64 : table.nbuckets * 2;
  if (table.n < table.nbuckets)
    return true;
  conc_proxy **fresh = conc_alloc(n * sizeof *fresh);
  if (fresh == NULL)
    return table.nbuckets != 0;
  memset(fresh, 0, n * sizeof *fresh);
  rehash_locked(fresh, n);
  return true;
}

/* Retain it if it is not being destroyed. */
static bool revive(conc_proxy *p) {
  uint32_t refs = atomic_load(&p->obj.refs);
  while (refs != 0)
    if (atomic_compare_exchange_weak(&p->obj.refs, &refs, refs + 1))
      return true;
  return false;
}

static conc_proxy *find_locked(const void *at) {
  if (table.nbuckets == 0)
    return NULL;
  conc_proxy *p = *bucket_locked(at);
  while (p != NULL && (p->at != at || !revive(p)))
    p = p->next;
  return p;
}

static conc_proxy *find(const void *at) {
  conc_mutex_lock(&table.lock);
  conc_proxy *p = find_locked(at);
  conc_mutex_unlock(&table.lock);
  return p;
}

static bool insert_locked(conc_proxy *p) {
  if (!make_room_locked())
    return false;
  conc_proxy **b = bucket_locked(p->at);
  p->next = *b;
  *b = p;
  p->known = true;
  table.n++;
  return true;
}

static void forget(conc_proxy *p) {
  conc_mutex_lock(&table.lock);
  if (p->known) {
    conc_proxy **link = bucket_locked(p->at);
    while (*link != p)
      link = &(*link)->next;
    *link = p->next;
    p->known = false;
    table.n--;
  }
  conc_mutex_unlock(&table.lock);
}

/* ---- Proxies ---- */

bool conc_is_proxy(const conc_obj *o) {
  return o->cls->destroy == conc_proxy_destroy;
}

void conc_proxy_destroy(conc_obj *o) {
  conc_proxy *p = (conc_proxy *)o;
  const conc_shared_class *cls = (const conc_shared_class *)o->cls;
  forget(p);
  if (cls->close != NULL && !conc_heap_left())
    cls->close(p);
  if (p->place != NULL) {
    conc_shared_drop(p->place);
    conc_ledger_put(p->place);
  }
  conc_obj_free(o);
}

/* A proxy with an empty place. */
static apr_status_t new_proxy(conc_proxy **out, const conc_shared_class *cls) {
  conc_proxy *p = conc_obj_new(&cls->cls, cls->size);
  if (p == NULL)
    return APR_ENOMEM;
  p->place = conc_ledger_get();
  if (p->place == NULL) {
    conc_obj_free(&p->obj);
    return CONC_EXHAUSTED;
  }
  *out = p;
  return APR_SUCCESS;
}

static void free_proxy(conc_proxy *p) {
  conc_shared_drop(p->place);
  conc_ledger_put(p->place);
  conc_obj_free(&p->obj);
}

apr_status_t conc_shared_new_raw(conc_proxy **out, const conc_shared_class *cls,
                                 size_t size) {
  conc_proxy *p;
  apr_status_t st = conc_heap_open();
  if (st == APR_SUCCESS)
    st = new_proxy(&p, cls);
  if (st != APR_SUCCESS)
    return st;
  st = conc_heap_alloc(p->place, size);
  if (st != APR_SUCCESS)
    goto free_it;
  p->at = conc_heap_at(atomic_load(p->place));
  conc_mutex_lock(&table.lock);
  bool in = insert_locked(p);
  conc_mutex_unlock(&table.lock);
  if (in) {
    *out = p;
    return APR_SUCCESS;
  }
  st = APR_ENOMEM;

free_it:
  free_proxy(p);
  return st;
}

apr_status_t conc_shared_new(conc_proxy **out, const conc_shared_class *cls,
                             size_t size) {
  apr_status_t st = conc_shared_new_raw(out, cls, size);
  if (st == APR_SUCCESS)
    memset((*out)->at, 0, size);
  return st;
}

void conc_shared_brand(uint64_t offset, conc_shared_id id) {
  conc_block *b = conc_block_at(offset);
  uint16_t bin = conc_mark_bin(atomic_load(&b->mark));
  conc_step();
  atomic_store(&b->mark, conc_mark(1, (uint16_t)id, bin));
}

void conc_shared_publish(conc_proxy *p) {
  const conc_shared_class *cls = (const conc_shared_class *)p->obj.cls;
  conc_shared_brand(conc_proxy_offset(p), cls->id);
}

conc_shared_id conc_shared_class_of(uint64_t offset) {
  return conc_mark_class(atomic_load(&conc_block_at(offset)->mark));
}

static const conc_shared_class *class_at(uint64_t offset) {
  if (!conc_heap_valid(offset))
    return NULL;
  uint16_t id = conc_mark_class(atomic_load(&conc_block_at(offset)->mark));
  const conc_shared_class *cls =
    id < CONC_SHARED_CLASSES ? conc_shared_classes[id] : NULL;
  return cls != NULL && cls->size != 0 && cls->least <= conc_heap_size(offset)
           ? cls
           : NULL;
}

/* Another thread may have been faster: then its proxy is the one. */
static conc_proxy *insert_or_find(conc_proxy *p, apr_status_t *st) {
  conc_mutex_lock(&table.lock);
  conc_proxy *known = find_locked(p->at);
  if (known == NULL && !insert_locked(p))
    *st = APR_ENOMEM;
  conc_mutex_unlock(&table.lock);
  return known;
}

static apr_status_t meet(conc_proxy **out, const conc_shared_class *cls,
                         uint64_t offset) {
  conc_proxy *p;
  apr_status_t st = new_proxy(&p, cls);
  if (st != APR_SUCCESS)
    return st;
  put(p->place, offset);
  p->at = conc_heap_at(offset);
  if (cls->open != NULL)
    st = cls->open(p);
  if (st != APR_SUCCESS) {
    free_proxy(p);
    return st;
  }
  *out = insert_or_find(p, &st);
  if (*out == NULL && st == APR_SUCCESS)
    *out = p;
  else
    conc_release(&p->obj);
  return st;
}

apr_status_t conc_shared_get(conc_proxy **out, uint64_t offset) {
  if (conc_heap_base == NULL)
    return CONC_CORRUPT;
  const conc_shared_class *cls = class_at(offset);
  if (cls == NULL)
    return CONC_CORRUPT;
  *out = find(conc_heap_at(offset));
  return *out != NULL ? APR_SUCCESS : meet(out, cls, offset);
}
