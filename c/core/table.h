#ifndef CONC_TABLE_H
#define CONC_TABLE_H

/*
 * The hash table inside a Dict.  It knows no locks, and it neither takes nor
 * gives back memory while it is changed: an insertion is given its node, and
 * says which segment it lacks to grow; a removal hands out what has become
 * superfluous.  No call moves more than a few entries.
 */

#include <stdatomic.h>

#include "core/dict.h"

/*
 * An entry.  Whoever holds a reference may read the key; the value belongs to
 * the table.
 *   [c] constant after new   [t] of the table, under its owner's lock
 *   [a] atomic
 */
typedef struct conc_node {
  struct conc_node *next; /* [t] in its bucket */
  uint64_t hash;          /* [c] */
  uint64_t version;       /* [t] */
  conc_msg value;         /* [t] */
  conc_key key;           /* [c] a string lies behind the node */
  _Atomic uint32_t refs;  /* [a] the table's and those of snapshots */
} conc_node;

enum { CONC_TABLE_FIRST = 8, CONC_TABLE_SEGMENTS = 28 };

/* See table.c.  Invariant: no two nodes have the same key. */
typedef struct conc_table {
  size_t nbuckets;
  size_t len; /* nodes */
  conc_node *first[CONC_TABLE_FIRST];
  conc_node **segments[CONC_TABLE_SEGMENTS];
} conc_table;

/* The only state that owns no memory. */
#define CONC_TABLE_EMPTY ((conc_table){.nbuckets = CONC_TABLE_FIRST})

uint64_t conc_key_hash(const conc_key *key, uint64_t seed);

/* A node with one reference, a copy of the key and no value; or NULL. */
conc_node *conc_node_new(const conc_key *key, uint64_t hash);
void conc_node_retain(conc_node *n);
void conc_node_release(conc_node *n);

/* Where the pointer to the key's node is; or where it would be, and is NULL. */
conc_node **conc_table_find(conc_table *t, const conc_key *key, uint64_t hash);

/* Put the node there.  Returns the segment that growth lacks, or 0. */
unsigned conc_table_insert(conc_table *t, conc_node **at, conc_node *n);

/* Take the node there out.  Returns memory to be freed, or NULL. */
conc_node **conc_table_remove(conc_table *t, conc_node **at);

/* Memory for a segment, or NULL. */
conc_node **conc_table_segment(unsigned s);

/* Bring it to the table.  Returns it if another one did: to be freed. */
conc_node **conc_table_supply(conc_table *t, unsigned s, conc_node **segment);

/* The first node of bucket b < nbuckets. */
conc_node *conc_table_bucket(conc_table *t, size_t b);

/* Free everything in it. */
void conc_table_fini(conc_table *t);

#endif
