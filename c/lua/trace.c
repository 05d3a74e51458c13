#include "lua/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/thread.h"
#include "lua/state.h"
#include "lua/task.h"

/* Text that grows, or is cut at 'size'.  It always ends with a zero. */
typedef struct text {
  char *at;
  size_t size, used;
  bool grows;
} text;

static bool make_room(text *t, size_t n) {
  if (n < t->size - t->used)
    return true;
  if (!t->grows)
    return false;
  char *bigger = conc_realloc(t->at, 2 * t->size + n);
  if (bigger == NULL)
    return false;
  t->at = bigger;
  t->size = 2 * t->size + n;
  return true;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
add(text *t, const char *fmt, ...) {
  char piece[256]; /* of a name, more is no use */
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(piece, sizeof piece, fmt, ap);
  va_end(ap);
  if (n <= 0)
    return;
  size_t len = strlen(piece);
  if (!make_room(t, len)) {
    len = t->size - t->used - 1;
    piece[len] = '\0';
  }
  memcpy(t->at + t->used, piece, len + 1);
  t->used += len;
}

/* ---- What it waits for ---- */

static void add_object(text *t, conc_obj *o) {
  if (o->cls == &conc_thread_class) {
    char name[64];
    conc_thread_name((conc_thread *)o, name, sizeof name);
    add(t, "%s(%s)", o->cls->name, name);
  } else {
    add(t, "%s: %p", o->cls->name, (void *)o);
  }
}

/* The objects among the arguments, or in the closure of an iterator. */
static void add_objects(text *t, lua_State *L) {
  enum { MOST = 4 };
  int n = lua_gettop(L), found = 0;
  for (int i = 0; i <= n && found <= MOST; i++) {
    conc_obj *o = lc_testany(L, i == 0 ? lua_upvalueindex(2) : i);
    if (o == NULL)
      continue;
    add(t, found == 0 ? " for " : ", ");
    if (found++ < MOST)
      add_object(t, o);
    else
      add(t, "...");
  }
}

static void add_wait(text *t, lua_State *L) {
  lua_Debug ar;
  if (L == NULL || lua_getstack(L, 0, &ar) == 0) {
    add(t, "waits for work");
    return;
  }
  lua_getinfo(L, "Sn", &ar);
  add(t, "waits");
  if (ar.name != NULL && strcmp(ar.what, "C") == 0)
    add(t, " in '%s'", ar.name);
  if (strcmp(ar.what, "C") == 0)
    add_objects(t, L);
}

void lc_trace_wait(lua_State *L, char *at, size_t size) {
  text t = {.at = at, .size = size};
  at[0] = '\0';
  add_wait(&t, L);
}

/* ---- Where it is ---- */

/* As luaL_traceback says it, which makes strings. */
static void add_level(text *t, const lua_Debug *ar) {
  add(t, "\n\t%s:", ar->short_src);
  if (ar->currentline > 0)
    add(t, "%d:", ar->currentline);
  if (*ar->namewhat != '\0')
    add(t, " in %s '%s'", ar->namewhat, ar->name);
  else if (*ar->what == 'm')
    add(t, " in main chunk");
  else if (*ar->what != 'C')
    add(t, " in function <%s:%d>", ar->short_src, ar->linedefined);
  else
    add(t, " in ?");
  if (ar->istailcall)
    add(t, "\n\t(...tail calls...)");
}

static void add_stack(text *t, lua_State *L) {
  enum { MOST = 30 };
  lua_Debug ar;
  int level = 0;
  for (; level < MOST && lua_getstack(L, level, &ar) != 0; level++) {
    lua_getinfo(L, "Slnt", &ar);
    add_level(t, &ar);
  }
  if (level == MOST && lua_getstack(L, level, &ar) != 0)
    add(t, "\n\t...");
}

char *lc_trace(lua_State *L, const lc_state *S, bool waits) {
  const conc_parker *self = S->self;
  text t = {.at = conc_alloc(1024), .size = 1024, .grows = true};
  if (t.at == NULL)
    return NULL;
  t.at[0] = '\0';
  if (S->task != NULL && S->task->name[0] != '\0')
    add(&t, "task '%s' ", S->task->name);
  if (waits)
    add_wait(&t, L);
  else
    add(&t, "runs");
  if (waits && atomic_load(&self->wait) % (CONC_WAIT_KIND + 1) != 0)
    add(&t, ", since %.3f s", (double)(conc_sys_now() - self->since) / 1e9);
  if (L != NULL)
    add_stack(&t, L);
  return t.at;
}
