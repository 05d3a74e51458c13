#ifndef CONC_BLOB_H
#define CONC_BLOB_H

/*
 * Something packed once and unpacked once in each state that meets it: the
 * code of a function, or a class.  Messages hold a reference to it, so that a
 * function sent a million times is shipped once.
 */

#include "base/msg.h"

typedef enum { CONC_BLOB_CODE, CONC_BLOB_CLASS } conc_blob_kind;

/* [c] everything: constant after new, but for 'msg' of a class, which its
   maker fills before any other thread sees it */
typedef struct conc_blob {
  conc_obj obj;
  conc_blob_kind kind;
  uint64_t id;  /* of this blob, never used again in this process */
  conc_msg msg; /* CODE: a binary chunk; CLASS: a packed message */
} conc_blob;

extern const conc_class conc_blob_class;

/* Takes *msg over.  It gets a fresh id. */
apr_status_t conc_blob_new(conc_blob **out, conc_blob_kind kind, conc_msg *msg);

/* How many there are in this process. */
size_t conc_blob_count(void);

/*
 * A number no blob or class of this process has or had, nor (very likely) of
 * another one; never 0, never negative as a signed number.
 */
uint64_t conc_blob_fresh_id(void);

#endif
