#include "lua/post.h"

#include <string.h>

#include "base/mem.h"
#include "ipc/lane.h"
#include "lua/wire.h"

void lc_pack_post(lua_State *L, lc_packing *what, const lc_post *post,
                  conc_msg *m) {
  int top = lua_gettop(L);
  conc_msg packed;
  *m = (conc_msg){0};
  what->wire = true;
  lc_pack_with(L, lc_open(L), what, &packed);
  conc_msg *owned = lc_pushmsg(L, &packed);
  conc_wire *w = lc_pushwire(L, owned, what->name);
  conc_msg_fini(owned);
  const conc_lane_head head = {.timeout = post->timeout,
                               .retries = post->retries,
                               .name = (uint32_t)post->len};
  size_t size = sizeof head + post->len + w->size;
  size_t refs = conc_msg_refs_at(size), n = w->nshared;
  unsigned char *block = conc_alloc(refs + n * sizeof(conc_obj *));
  if (block == NULL)
    lc_fail(L, APR_ENOMEM);
  memcpy(block, &head, sizeof head);
  if (post->len > 0)
    memcpy(block + sizeof head, post->name, post->len);
  memcpy(block + sizeof head + post->len, w->data, w->size);
  if (n > 0)
    memcpy(block + refs, w->shared, n * sizeof(conc_obj *));
  w->nshared = 0; /* they are the message's now */
  conc_msg_adopt(m, block, size, (uint32_t)n);
  conc_wire_fini(w);
  lua_settop(L, top);
}
