#ifndef CONC_DICT_H
#define CONC_DICT_H

/*
 * A table that threads share: keys are scalars or conc objects, values are
 * messages.  Every call is atomic.  None waits for more than the few
 * instructions another one takes, but for conc_dict_copy, which holds the
 * others up in proportion to the size of the Dict, since what it returns is
 * the Dict at one moment.
 *
 * Optimistic updates: an entry has a version, which is new with every write
 * and 0 when there is no entry.  Read, compute without any lock, and replace
 * if the version is still the same.
 *
 * Cycles: references are counted, so Dicts that hold each other live until
 * the circle is broken, by a removal or conc_dict_clear.  Finding circles would
 * mean to walk whatever a Dict can reach, with all of it locked, whenever a
 * reference to one goes: the price of a tree of Dicts would grow with its size.
 */

#include <apr_errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/msg.h"

typedef struct conc_dict conc_dict;

extern const conc_class conc_dict_class;

typedef enum {
  CONC_KEY_BOOLEAN,
  CONC_KEY_INTEGER,
  CONC_KEY_FLOAT, /* neither NaN nor an integral value: see Lua's own tables */
  CONC_KEY_STRING,
  CONC_KEY_OBJECT
} conc_key_type;

/* Borrowed: what it points to is the caller's, or lives with a snapshot. */
typedef struct conc_key {
  conc_key_type type;
  union {
    bool b;
    int64_t i;
    double d;
    const char *s;
    conc_obj *o;
  } u;
  size_t len; /* of the string */
} conc_key;

apr_status_t conc_dict_new(conc_dict **out);

/*
 * Read.  True: *msg, which was empty, is the caller's copy of the value, and
 * *version is its version.  False: there is no such key and *version is 0.
 * 'version' may be NULL.  The copy is small, whatever the size of the value:
 * conc_dict_value(msg) is the message itself, which is not to be changed.
 */
bool conc_dict_get(conc_dict *d, const conc_key *key, conc_msg *msg,
                   uint64_t *version);

/* What a copy stands for: itself, or a large message that is shared. */
conc_msg *conc_dict_value(conc_msg *msg);

/*
 * Write, or remove when *msg is empty.  APR_SUCCESS: *msg is what was there
 * before, or empty.  APR_ENOMEM: nothing changed, *msg is still the caller's.
 */
apr_status_t conc_dict_set(conc_dict *d, const conc_key *key, conc_msg *msg);

/* The same if the version is as told; else APR_EAGAIN and nothing changed. */
apr_status_t conc_dict_replace(conc_dict *d, const conc_key *key,
                               uint64_t version, conc_msg *msg);

size_t conc_dict_len(const conc_dict *d);

/* Remove everything. */
void conc_dict_clear(conc_dict *d);

/* All entries at one moment, in no order.  Nobody else's but the caller's. */
typedef struct conc_dict_snapshot {
  conc_obj obj;
  size_t n;
  struct conc_dict_item {
    const conc_key *key;
    conc_msg value; /* as conc_dict_get gives it */
  } items[];
} conc_dict_snapshot;

apr_status_t conc_dict_copy(conc_dict *d, conc_dict_snapshot **out);

#endif
