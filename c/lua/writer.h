#ifndef LC_WRITER_H
#define LC_WRITER_H

/*
 * The packer's hands: bytes, references, what was met, open frames.  Nothing
 * here calls Lua, but for lc_write_open which asks for stack.  When memory
 * runs out the packer is marked (failed, nomem) and every later write is
 * harmless.
 */

#include "lua/pack.h"

void lc_write_nomem(lc_packer *pk);
void lc_write_byte(lc_packer *pk, unsigned b);
void lc_write_tagged(lc_packer *pk, unsigned tag, uint64_t v, int bytes);
void lc_write_varint(lc_packer *pk, uint64_t v);
void lc_write_bytes(lc_packer *pk, const char *s, size_t len);
void lc_write_integer(lc_packer *pk, lua_Integer i);
void lc_write_number(lc_packer *pk, lua_Number d);
void lc_write_string(lc_packer *pk, const char *s, size_t len);

/* n bytes to be filled in, or NULL. */
unsigned char *lc_write_reserve(lc_packer *pk, size_t n);
/* Overwrite 4 bytes at 'at'. */
void lc_write_patch(lc_packer *pk, size_t at, uint32_t v);

/* The number of an object in this message; it is retained. */
uint64_t lc_write_reference(lc_packer *pk, conc_obj *o);

/* What was met under an address in this message, or NULL. */
lc_memo *lc_write_find(lc_packer *pk, const void *key);
void lc_write_remember(lc_packer *pk, const void *key, size_t offset,
                       uint32_t index);
/* Write a reference back, and mark what it refers to. */
void lc_write_back(lc_packer *pk, const lc_memo *m);

/*
 * Open a frame for the value at a stack slot; NULL when it is too deep.  The
 * pointer is good until the next one is opened.
 */
lc_frame *lc_write_open(lua_State *L, lc_packer *pk, unsigned kind, int slot);

/* What comes next shares nothing with what came before. */
void lc_write_forget(lc_packer *pk);

/* Begin a new message; keep memory, drop references. */
void lc_write_begin(lc_packer *pk);

/* Hand what was written over to *m. */
apr_status_t lc_write_end(lc_packer *pk, conc_msg *m);

void lc_write_fini(lc_packer *pk);

#endif
