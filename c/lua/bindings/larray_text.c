#include "lua/bindings/larray_text.h"

#include <string.h>

static bool is_field(lua_State *L, const char *name) {
  return strcmp(lua_tostring(L, 2), name) == 0;
}

bool larray_is_text(lua_State *L, const conc_cells *c) {
  return c->type.kind == CONC_CELL_CHAR && lua_type(L, 2) == LUA_TSTRING &&
         (is_field(L, "value") || is_field(L, "raw"));
}

int larray_push_text(lua_State *L, conc_cells *c) {
  luaL_Buffer buffer;
  bool all = is_field(L, "raw");
  size_t n = 0;
  char *to = luaL_buffinitsize(L, &buffer, c->n);
  for (; n < c->n; n++) {
    uint64_t bits = conc_cell_load(conc_cells_at(c, n), CONC_CELL_CHAR);
    conc_cell_store(to + n, CONC_CELL_CHAR, bits);
    if (to[n] == '\0' && !all)
      break;
  }
  luaL_pushresultsize(&buffer, n);
  return 1;
}

int larray_set_text(lua_State *L, conc_cells *c) {
  size_t n;
  const char *s = lc_string(L, 3, "value", &n);
  if (n > c->n)
    return lc_argerror(L, 3, "value", "%I bytes do not fit into %I",
                       (LUAI_UACINT)n, (LUAI_UACINT)c->n);
  for (size_t k = 0; k < n; k++)
    conc_cell_store(conc_cells_at(c, k), CONC_CELL_CHAR,
                    conc_cell_load(s + k, CONC_CELL_CHAR));
  if (n < c->n && is_field(L, "value"))
    conc_cell_store(conc_cells_at(c, n), CONC_CELL_CHAR, 0);
  lcell_wrote(L, conc_cells_at(c, 0), c->n);
  return 0;
}
