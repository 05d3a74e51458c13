#ifndef LC_PIECE_H
#define LC_PIECE_H

/*
 * What came of a chunk of a map in a process that did not live to its end, or
 * was at it for so long that it sent results on the way: messages as in lmap.h,
 * one for each stretch of items that was done, and what became of the items
 * after these.  The future of such a chunk is of kind LC_TASK_PIECES, and its
 * result is a message of no bytes that refers to this.
 *
 * When a process dies in item k, what it did since the last message is lost: so
 * those items are one new chunk, the death is item k's alone, and the items
 * after it are another new chunk.  When it dies before the first item, nothing is
 * lost, and another process gets the chunk; but after LC_PIECE_TRIES such deaths
 * it may be the values of the chunk that kill, and all of its items fail.
 */

#include "core/future.h"

enum { LC_PIECE_MORE = 3, LC_PIECE_TRIES = 4 };

/* [o] of the keeper, until the future is done; then constant */
typedef struct lc_piece {
  conc_obj obj;
  conc_msg *parts;
  size_t n, room;
  uint32_t done;                    /* items in all parts */
  uint32_t counts[LC_PIECE_MORE];   /* of the futures: their items */
  conc_future *more[LC_PIECE_MORE]; /* references, or NULL */
} lc_piece;

apr_status_t lc_piece_new(lc_piece **out);

/* The next 'count' items are done; takes the message, if that can be. */
apr_status_t lc_piece_add(lc_piece *p, conc_msg *m, uint32_t count);

/* Make *m the result that refers to p, and takes that reference. */
void lc_piece_result(conc_msg *m, lc_piece *p);

/* The piece of a future that is done, or NULL: it has none. */
lc_piece *lc_piece_of(conc_future *f);

/* ---- Tasks that do some of a chunk ---- */

typedef struct lc_items {
  uint32_t from, to; /* counted from 0; 0, 0: all */
} lc_items;

/* Behind the bytes of such a task. */
typedef struct lc_range_tail {
  lc_items items;
  uint32_t lost; /* processes that died before they began with it */
} lc_range_tail;

/* A future for the items of f's task in that range. */
apr_status_t lc_range_new(conc_future **out, conc_future *f, lc_items range);

/* The range of f's task, a chunk. */
lc_items lc_range_of(conc_future *f);

/* f's process has died before it began with an item.  True: it may be given
   to another one. */
bool lc_range_again(conc_future *f);

#endif
