#include "lua/piece.h"

#include <string.h>

#include "base/mem.h"
#include "lua/post.h"
#include "lua/task.h"

static void destroy(conc_obj *o) {
  lc_piece *p = (lc_piece *)o;
  for (size_t i = 0; i < p->n; i++)
    conc_msg_fini(&p->parts[i]);
  conc_free(p->parts);
  for (int i = 0; i < LC_PIECE_MORE; i++)
    if (p->more[i] != NULL)
      conc_release(&p->more[i]->obj);
  conc_obj_free(o);
}

static const conc_class piece_class = {"piece", destroy};

apr_status_t lc_piece_new(lc_piece **out) {
  *out = conc_obj_new(&piece_class, sizeof **out);
  return *out == NULL ? APR_ENOMEM : APR_SUCCESS;
}

apr_status_t lc_piece_add(lc_piece *p, conc_msg *m, uint32_t count) {
  if (p->n == p->room) {
    size_t room = p->room == 0 ? 4 : 2 * p->room;
    conc_msg *bigger = conc_realloc(p->parts, room * sizeof *bigger);
    if (bigger == NULL)
      return APR_ENOMEM;
    p->parts = bigger;
    p->room = room;
  }
  p->parts[p->n++] = conc_msg_take(m);
  p->done += count;
  return APR_SUCCESS;
}

void lc_piece_result(conc_msg *m, lc_piece *p) {
  conc_obj *ref = &p->obj;
  (void)conc_msg_make(m, NULL, 0, &ref, 1); /* one fits into the message */
}

lc_piece *lc_piece_of(conc_future *f) {
  return f->kind == LC_TASK_PIECES && conc_future_is(f) == CONC_FUTURE_FINISHED
           ? (lc_piece *)conc_msg_refs(&f->msg)[0]
           : NULL;
}

/* ---- Ranges: behind the bytes of the message, see post.h ---- */

static apr_status_t append(conc_future *f, lc_items items, uint32_t lost) {
  const lc_range_tail t = {items, lost};
  return lc_post_append(&f->msg, &t, sizeof t);
}

static unsigned char *tail_at(conc_future *f) {
  return conc_msg_data(&f->msg) + f->msg.size - sizeof(lc_range_tail);
}

static lc_range_tail tail_of(conc_future *f) {
  lc_range_tail t = {{0, 0}, 0};
  if (f->kind == LC_TASK_RANGE)
    memcpy(&t, tail_at(f), sizeof t);
  return t;
}

apr_status_t lc_range_new(conc_future **out, conc_future *f, lc_items range) {
  conc_wire_parts parts = lc_post_parts(f);
  apr_status_t st = conc_future_new(out);
  if (st != APR_SUCCESS)
    return st;
  conc_msg *m = &(*out)->msg;
  (*out)->kind = LC_TASK_RANGE;
  (*out)->quiet = true;
  st = conc_msg_make(m, parts.data, parts.size, parts.refs, parts.nrefs);
  if (st == APR_SUCCESS) {
    for (uint32_t i = 0; i < m->nrefs; i++)
      conc_retain(conc_msg_refs(m)[i]);
    st = append(*out, range, 0);
  }
  if (st != APR_SUCCESS)
    conc_release(&(*out)->obj);
  return st;
}

lc_items lc_range_of(conc_future *f) { return tail_of(f).items; }

bool lc_range_again(conc_future *f) {
  lc_range_tail t = tail_of(f);
  if (++t.lost == LC_PIECE_TRIES)
    return false;
  if (f->kind == LC_TASK_RANGE) {
    memcpy(tail_at(f), &t, sizeof t);
    return true;
  }
  if (f->kind != LC_TASK_CHUNK || append(f, t.items, t.lost) != APR_SUCCESS)
    return false;
  f->kind = LC_TASK_RANGE;
  return true;
}
