#ifndef LC_BUILD_H
#define LC_BUILD_H

/*
 * Containers as they are read: each begins with its tag, gets its parts one by
 * one, and is finished when it has them all.
 */

#include "lua/reader.h"

/* After the tag was read: open a frame (and push the container). */
void lc_build_packed(lc_reader *r, bool shared);
void lc_build_meta(lc_reader *r);
/* The same; or true: the table or function is on the top, complete. */
bool lc_build_table(lc_reader *r, bool shared);
bool lc_build_function(lc_reader *r, bool shared);

/* The next upvalue of the function being read is one of an earlier one. */
void lc_build_join(lc_reader *r);
/* The table that follows is a class of the blob that is read. */
void lc_build_class(lc_reader *r);
/* Push the class that is meant, reading its blob if this is the first time. */
void lc_push_class_of(lc_reader *r);

/* Read on in a table while scalars come. */
void lc_build_fill(lc_reader *r, lc_reading *f);
/* The value on the top belongs to the innermost frame. */
void lc_build_deliver(lc_reader *r);
/* Close the innermost frame: its value is on the top then. */
void lc_build_finish(lc_reader *r);

/* Push the values of *m, which stays; returns how many (unpack.c). */
int lc_read_message(lua_State *L, conc_msg *m, lc_state *S, conc_blob *source,
                    int depth);

#endif
