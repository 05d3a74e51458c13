#include "lua/update.h"

#include "lua/state.h"

void lc_update_begin(lua_State *L, lc_update *u, const void *place,
                     uint64_t key) {
  lc_watches *w = &lc_get(L)->watches;
  uintptr_t here = (uintptr_t)u;
  while (w->depth > 0 && w->list[w->depth - 1].frame <= here)
    w->depth--;
  if (w->depth == LC_WATCHES)
    w->depth--; /* the innermost is watched */
  u->depth = w->depth;
  w->list[w->depth++] = (lc_watch){.place = place, .key = key, .frame = here};
}

bool lc_update_end(lc_state *S, const lc_update *u) {
  const lc_watch *w = &S->watches.list[u->depth];
  S->watches.depth = u->depth;
  return w->frame == (uintptr_t)u && w->hit;
}

int lc_update_own(lua_State *L, int arg) {
  return lc_argerror(L, arg, "fn",
                     "has itself written what 'update' was to write");
}

static lc_watch *last(lc_state *S) {
  return S->watches.list + S->watches.depth;
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
