#include "lua/post.h"

#include <string.h>

#include "base/mem.h"
#include "core/blob.h"
#include "lua/piece.h"
#include "lua/task.h"
#include "lua/wire.h"

/* ---- Packing ---- */

/* What a class holds was packed when nobody knew that it would leave. */
static bool has_class(conc_msg *m) {
  for (uint32_t i = 0; i < m->nrefs; i++) {
    const conc_obj *o = conc_msg_refs(m)[i];
    if (o->cls == &conc_blob_class &&
        ((const conc_blob *)o)->kind == CONC_BLOB_CLASS)
      return true;
  }
  return false;
}

void lc_pack_post(lua_State *L, lc_packing *what, conc_msg *m) {
  const conc_class *culprit;
  conc_wire w;
  what->wire = true;
  lc_pack_with(L, lc_open(L), what, m);
  if (!has_class(m))
    return;
  apr_status_t st = conc_wire_encode(&w, m, &culprit);
  if (st == APR_SUCCESS) {
    conc_wire_fini(&w);
    return;
  }
  conc_msg_fini(m);
  lc_wire_fail(L, st, culprit, what->name);
}

apr_status_t lc_post_append(conc_msg *m, const void *data, size_t more) {
  size_t size = m->size + more;
  size_t at = conc_msg_refs_at(size), refs = m->nrefs * sizeof(conc_obj *);
  unsigned char *p = conc_alloc(at + refs);
  if (p == NULL)
    return APR_ENOMEM;
  memcpy(p, conc_msg_data(m), m->size);
  memcpy(p + m->size, data, more);
  if (refs > 0)
    memcpy(p + at, conc_msg_refs(m), refs);
  if (m->heap)
    conc_free(m->u.data);
  conc_msg_adopt(m, p, size, m->nrefs);
  return APR_SUCCESS;
}

void lc_pack_options(lua_State *L, lc_packing *what, const lc_post *post,
                     const char *name, conc_future *f) {
  conc_msg m;
  lc_pack_post(L, what, &m);
  if ((post->len > 0 && lc_post_append(&m, name, post->len) != APR_SUCCESS) ||
      lc_post_append(&m, post, sizeof *post) != APR_SUCCESS) {
    conc_msg_fini(&m);
    lc_fail(L, APR_ENOMEM);
  }
  f->msg = m;
  f->kind = LC_TASK_OPTIONS;
}

/* ---- Reading ---- */

static unsigned char *options_at(conc_future *f) {
  return conc_msg_data(&f->msg) + f->msg.size - sizeof(lc_post);
}

lc_post lc_post_of(conc_future *f, const char **name) {
  lc_post post = {.timeout = -1};
  *name = NULL;
  if (f->kind == LC_TASK_OPTIONS) {
    memcpy(&post, options_at(f), sizeof post);
    *name = (const char *)options_at(f) - post.len;
  }
  return post;
}

bool lc_post_retry(conc_future *f) {
  const char *name;
  lc_post post = lc_post_of(f, &name);
  if (post.retries == 0)
    return false;
  post.retries--;
  memcpy(options_at(f), &post, sizeof post);
  return true;
}

conc_wire_parts lc_post_parts(conc_future *f) {
  const char *name;
  conc_wire_parts parts = conc_wire_parts_of(&f->msg);
  if (f->kind == LC_TASK_OPTIONS)
    parts.size -= sizeof(lc_post) + lc_post_of(f, &name).len;
  else if (f->kind == LC_TASK_RANGE)
    parts.size -= sizeof(lc_range_tail);
  return parts;
}

bool lc_post_strip(conc_future *f) {
  const conc_wire_parts parts = lc_post_parts(f);
  conc_msg m;
  if (f->kind != LC_TASK_OPTIONS)
    return true;
  if (conc_msg_make(&m, parts.data, parts.size, parts.refs, parts.nrefs) !=
      APR_SUCCESS)
    return false;
  f->msg.nrefs = 0; /* they are in m */
  conc_msg_fini(&f->msg);
  f->msg = m;
  f->kind = LC_TASK_CALL;
  return true;
}
