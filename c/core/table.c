/*
 * Linear hashing: the table grows and shrinks by one bucket at a time.
 *
 * With P the greatest power of two <= nbuckets, a hash belongs to the bucket
 * (hash mod 2P), or, as long as that one does not exist, to (hash mod P).
 * Growing adds bucket 'nbuckets' and moves there what belongs there from bucket
 * nbuckets - P, which is the only one that can have it; shrinking undoes that.
 *
 * Buckets lie in segments that double: 'first', and then each segment holds as
 * many as everything before it.
 */

#include "core/table.h"

#include <string.h>

#include "base/mem.h"
#include "sys/sys.h"

enum { FIRST = CONC_TABLE_FIRST, FIRST_BITS = 3 };

/* ---- Keys ---- */

static uint64_t mix(uint64_t h, uint64_t word) {
  h = (h ^ word) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

static uint64_t hash_bytes(uint64_t h, const char *s, size_t len) {
  uint64_t word;
  h = mix(h, len);
  for (; len >= sizeof word; s += sizeof word, len -= sizeof word) {
    memcpy(&word, s, sizeof word);
    h = mix(h, word);
  }
  word = 0;
  memcpy(&word, s, len);
  return mix(h, word);
}

uint64_t conc_key_hash(const conc_key *key, uint64_t seed) {
  uint64_t h = mix(seed, key->type), word = 0;
  switch (key->type) {
  case CONC_KEY_STRING: h = hash_bytes(h, key->u.s, key->len); break;
  case CONC_KEY_BOOLEAN: h = mix(h, key->u.b); break;
  case CONC_KEY_OBJECT: h = mix(h, (uintptr_t)key->u.o); break;
  default: memcpy(&word, &key->u, sizeof word); h = mix(h, word);
  }
  return mix(h, h >> 32);
}

static bool same_key(const conc_key *a, const conc_key *b) {
  if (a->type != b->type)
    return false;
  switch (a->type) {
  case CONC_KEY_BOOLEAN: return a->u.b == b->u.b;
  case CONC_KEY_INTEGER: return a->u.i == b->u.i;
  case CONC_KEY_FLOAT: return a->u.d == b->u.d;
  case CONC_KEY_OBJECT: return a->u.o == b->u.o;
  default: return a->len == b->len && memcmp(a->u.s, b->u.s, a->len) == 0;
  }
}

/* ---- Nodes ---- */

conc_node *conc_node_new(const conc_key *key, uint64_t hash) {
  size_t text = key->type == CONC_KEY_STRING ? key->len : 0;
  conc_node *n = conc_alloc(sizeof *n + text);
  if (n == NULL)
    return NULL;
  *n = (conc_node){.hash = hash, .key = *key};
  atomic_init(&n->refs, 1);
  if (key->type == CONC_KEY_STRING)
    n->key.u.s = memcpy(n + 1, key->u.s, text);
  else if (key->type == CONC_KEY_OBJECT)
    conc_retain(key->u.o);
  return n;
}

void conc_node_retain(conc_node *n) {
  /* Relaxed: the caller sees to it that the table's own cannot go now. */
  atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
}

void conc_node_release(conc_node *n) {
  /* acq_rel: the last one must see that the others have done with the key. */
  if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
    return;
  if (n->key.type == CONC_KEY_OBJECT)
    conc_release(n->key.u.o);
  conc_free(n);
}

static void release_chain(conc_node *n) {
  while (n != NULL) {
    conc_node *next = n->next;
    conc_msg_fini(&n->value);
    conc_node_release(n);
    n = next;
  }
}

/* ---- Buckets ---- */

static unsigned top_bit(size_t n) { return conc_sys_top_bit((uint64_t)n); }

static conc_node **bucket(conc_table *t, size_t b) {
  if (b < FIRST)
    return &t->first[b];
  unsigned top = top_bit(b);
  return &t->segments[top - FIRST_BITS][b - ((size_t)1 << top)];
}

conc_node *conc_table_bucket(conc_table *t, size_t b) { return *bucket(t, b); }

conc_node **conc_table_find(conc_table *t, const conc_key *key, uint64_t hash) {
  size_t power = (size_t)1 << top_bit(t->nbuckets);
  size_t b = (size_t)hash & (2 * power - 1);
  conc_node **at = bucket(t, b < t->nbuckets ? b : b - power);
  while (*at != NULL && ((*at)->hash != hash || !same_key(&(*at)->key, key)))
    at = &(*at)->next;
  return at;
}

/* The segment of the bucket that comes next, counted from 1. */
static unsigned next_segment(const conc_table *t) {
  return top_bit(t->nbuckets) - FIRST_BITS + 1;
}

conc_node **conc_table_segment(unsigned s) {
  return conc_alloc(((size_t)FIRST << (s - 1)) * sizeof(conc_node *));
}

conc_node **conc_table_supply(conc_table *t, unsigned s, conc_node **segment) {
  if (t->segments[s - 1] != NULL || s > next_segment(t))
    return segment;
  t->segments[s - 1] = segment;
  return NULL;
}

/* Add a bucket; its segment is there. */
static void split(conc_table *t) {
  size_t b = t->nbuckets++, power = (size_t)1 << top_bit(b);
  conc_node **from = bucket(t, b - power), **to = bucket(t, b);
  while (*from != NULL) {
    conc_node *n = *from;
    if (((size_t)n->hash & (2 * power - 1)) != b) {
      from = &n->next;
      continue;
    }
    *from = n->next;
    *to = n;
    to = &n->next;
  }
  *to = NULL;
}

unsigned conc_table_insert(conc_table *t, conc_node **at, conc_node *n) {
  n->next = NULL;
  *at = n;
  t->len++;
  /* Two steps, so that growth catches up with what a segment came late for. */
  for (int i = 0; i < 2 && t->len > t->nbuckets; i++) {
    unsigned s = next_segment(t);
    if (s > CONC_TABLE_SEGMENTS)
      return 0;
    if (t->segments[s - 1] == NULL)
      return s;
    split(t);
  }
  return 0;
}

/* Undo a split. */
static conc_node **merge(conc_table *t) {
  size_t b = --t->nbuckets, power = (size_t)1 << top_bit(b);
  conc_node **at = bucket(t, b - power);
  while (*at != NULL)
    at = &(*at)->next;
  *at = *bucket(t, b);
  if (b != power)
    return NULL;
  conc_node **segment = t->segments[next_segment(t) - 1];
  t->segments[next_segment(t) - 1] = NULL;
  return segment;
}

conc_node **conc_table_remove(conc_table *t, conc_node **at) {
  *at = (*at)->next;
  t->len--;
  if (t->nbuckets == FIRST || t->len >= t->nbuckets / 4)
    return NULL;
  return merge(t);
}

void conc_table_fini(conc_table *t) {
  for (size_t b = 0; b < t->nbuckets; b++)
    release_chain(*bucket(t, b));
  for (unsigned s = 0; s < CONC_TABLE_SEGMENTS; s++)
    conc_free(t->segments[s]);
}
