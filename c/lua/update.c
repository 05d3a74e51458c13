#include "lua/update.h"

#include "lua/state.h"

lc_update lc_update_begin(lc_state *S, const void *place, uint64_t key) {
  lc_watches *w = &S->watches;
  lc_update u = {w->depth, ++w->serial};
  w->list[w->depth++ % LC_WATCHES] =
    (lc_watch){.place = place, .key = key, .serial = u.serial};
  return u;
}

bool lc_update_end(lc_state *S, lc_update u) {
  const lc_watch *w = &S->watches.list[u.depth % LC_WATCHES];
  S->watches.depth = u.depth;
  return w->serial == u.serial && w->hit;
}

int lc_update_own(lua_State *L, int arg) {
  return lc_argerror(L, arg, "fn",
                     "has itself written what 'update' was to write");
}

static lc_watch *last(lc_state *S) {
  unsigned n = S->watches.depth;
  return S->watches.list + (n < LC_WATCHES ? n : LC_WATCHES);
}

void lc_wrote(lc_state *S, const void *place, size_t size) {
  uintptr_t from = (uintptr_t)place;
  for (lc_watch *w = S->watches.list; w < last(S); w++)
    if ((uintptr_t)w->place - from < size)
      w->hit = true;
}

void lc_wrote_key(lc_state *S, const void *dict, uint64_t key) {
  for (lc_watch *w = S->watches.list; w < last(S); w++)
    if (w->place == dict && w->key == key)
      w->hit = true;
}
