#include "lua/bindings/lmap_chunks.h"

#include <string.h>

#include "base/mem.h"
#include "lua/await.h"
#include "lua/piece.h"
#include "lua/task.h"

void lc_chunk_abandon(conc_future *f) {
  if (conc_future_stop(f, CONC_ASK_LEAVE))
    return;
  if (conc_future_is(f) != CONC_FUTURE_FINISHED)
    return;
  lc_piece *p = lc_piece_of(f);
  for (int i = 0; p != NULL && i < LC_PIECE_MORE; i++)
    if (p->more[i] != NULL)
      lc_chunk_abandon(p->more[i]);
  for (uint32_t i = 0; i < f->msg.nrefs; i++) {
    conc_obj *part = conc_msg_refs(&f->msg)[i];
    if (part->cls == &conc_future_class &&
        ((conc_future *)part)->kind == LC_TASK_CHUNK)
      lc_chunk_abandon((conc_future *)part);
  }
}

void lc_chunks_fini(lc_chunks *c) {
  for (size_t i = 0; i < c->room; i++) {
    if (c->list[i].future == NULL)
      continue;
    lc_chunk_abandon(c->list[i].future);
    conc_release(&c->list[i].future->obj);
  }
  conc_free(c->list);
  if (c->watch != NULL) {
    conc_watch_stop(c->watch);
    conc_release((conc_obj *)c->watch);
  }
  *c = (lc_chunks){0};
}

void lc_chunks_reserve(lua_State *L, lc_chunks *c) {
  if (c->watch != NULL && conc_watch_reserve(c->watch, 3) != APR_SUCCESS)
    lc_fail(L, APR_ENOMEM);
  if (c->n + 3 <= c->room)
    return;
  size_t room = c->room == 0 ? 16 : 2 * c->room;
  lc_chunk *bigger = conc_alloc(room * sizeof *bigger);
  if (bigger == NULL)
    lc_fail(L, APR_ENOMEM);
  memset(bigger, 0, room * sizeof *bigger);
  if (c->watch != NULL && c->room > 0) /* places stay */
    memcpy(bigger, c->list, c->room * sizeof *bigger);
  for (size_t i = 0; i < c->n && c->watch == NULL; i++)
    bigger[i] = c->list[(c->first + i) % c->room];
  conc_free(c->list);
  c->list = bigger;
  if (c->watch == NULL)
    c->first = 0;
  c->room = room;
}

static void put(lc_chunks *c, const lc_chunk *one, size_t place) {
  c->list[place] = *one;
  c->n++;
  c->items += one->count;
}

void lc_chunks_put(lc_chunks *c, const lc_chunk *one, bool before) {
  if (c->watch != NULL) {
    while (c->list[c->first].future != NULL)
      c->first = (c->first + 1) % c->room;
    conc_watch_add(c->watch, one->future, c->first);
    put(c, one, c->first);
  } else if (before) {
    c->first = (c->first + c->room - 1) % c->room;
    put(c, one, c->first);
  } else {
    put(c, one, (c->first + c->n) % c->room);
  }
}

lc_chunk lc_chunks_take(lc_chunks *c, size_t place) {
  lc_chunk one = c->list[place];
  c->list[place].future = NULL;
  c->n--;
  c->items -= one.count;
  if (c->watch == NULL)
    c->first = (c->first + 1) % c->room;
  return one;
}

/* In order: the oldest. */
static apr_status_t await_first(lua_State *L, lc_chunks *c, conc_time deadline,
                                size_t *place) {
  conc_future *f = c->list[c->first].future;
  if (!conc_future_done(f)) {
    lc_push(L, &f->obj); /* stays there, whatever a callback does */
    apr_status_t st = lc_await_future(L, f, deadline);
    if (st != APR_SUCCESS)
      return st;
  }
  bool same = c->n > 0 && c->watch == NULL && c->list[c->first].future == f;
  *place = same ? c->first : SIZE_MAX;
  return APR_SUCCESS;
}

/* Unordered: any. */
static apr_status_t await_any(lua_State *L, lc_chunks *c, conc_time deadline,
                              size_t *place) {
  conc_watch *w = c->watch;
  apr_status_t st = lc_await_watch(L, w, deadline);
  if (st != APR_SUCCESS)
    return st;
  *place = SIZE_MAX;
  conc_future *f = c->n > 0 && c->watch == w ? conc_watch_next(w, place) : NULL;
  if (f != NULL)
    conc_release(&f->obj); /* the chunk has one */
  return APR_SUCCESS;
}

apr_status_t lc_chunks_await(lua_State *L, lc_chunks *c, conc_time deadline,
                             size_t *place) {
  return c->watch == NULL ? await_first(L, c, deadline, place)
                          : await_any(L, c, deadline, place);
}
