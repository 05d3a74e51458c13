#include "core/semaphore.h"

#include "lua/acquired.h"
#include "lua/types.h"

/* Both kinds have the same methods. */
static conc_semaphore *check(lua_State *L) {
  conc_obj *o = lc_test(L, 1, &conc_semaphore_class);
  if (o == NULL)
    o = lc_test(L, 1, &conc_bounded_class);
  if (o == NULL)
    lc_typeerror(L, 1, &conc_semaphore_class);
  return (conc_semaphore *)o;
}

static int acquire_slowly(lua_State *L, conc_semaphore *s) {
  lc_nomore(L, 2);
  conc_time deadline = lc_deadline(L, 2, "timeout");
  apr_status_t st;
  do
    st = conc_semaphore_acquire(s, lc_self(L), deadline);
  while (lc_again(L, st));
  return lc_acquired(L, st);
}

/*
 * semaphore:acquire([timeout]): take one permit, waiting for at most that many
 * seconds.  Returns the semaphore itself, or false, "timeout".
 */
static int semaphore_acquire(lua_State *L) {
  conc_semaphore *s = check(L);
  if (lua_gettop(L) == 1 && conc_semaphore_try(s))
    return 1;
  return acquire_slowly(L, s);
}

static int release(lua_State *L, conc_semaphore *s, uint32_t n) {
  if (conc_semaphore_release(s, n) == APR_SUCCESS)
    return 0;
  return luaL_error(L,
                    s->obj.cls == &conc_bounded_class
                      ? "cannot release a BoundedSemaphore above its initial "
                        "value %d"
                      : "cannot release a Semaphore above %d",
                    (int)s->most);
}

/*
 * semaphore:release([n]): give n (1) permits.  Raises when there would be more
 * than a bounded semaphore began with, and changes nothing then.
 */
static int semaphore_release(lua_State *L) {
  conc_semaphore *s = check(L);
  lc_nomore(L, 2);
  return release(L, s,
                 (uint32_t)lc_optinteger(L, 2, "n", 1, 1, CONC_SEMAPHORE_MAX));
}

static int semaphore_close(lua_State *L) { return release(L, check(L), 1); }

/* semaphore:value() -> integer: permits left */
static int semaphore_value(lua_State *L) {
  conc_semaphore *s = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)conc_semaphore_value(s));
  return 1;
}

static const luaL_Reg methods[] = {{"acquire", semaphore_acquire},
                                   {"release", semaphore_release},
                                   {"value", semaphore_value},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", semaphore_close},
                                       {NULL, NULL}};

const lc_type lc_semaphore_type = {&conc_semaphore_class, methods, metamethods,
                                   NULL, 0};
const lc_type lc_bounded_type = {&conc_bounded_class, methods, metamethods,
                                 NULL, 0};

static int make(lua_State *L, const conc_class *cls) {
  static const char *const names[] = {"value", NULL};
  lc_options(L, names);
  uint32_t value =
    (uint32_t)lc_optinteger(L, 1, "value", 1, 0, CONC_SEMAPHORE_MAX);
  lc_box *box = lc_newbox(L, cls);
  conc_semaphore *s;
  apr_status_t st = conc_semaphore_new(&s, cls, value);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &s->obj;
  return 1;
}

/* Semaphore([value]): with that many permits (1). */
int lc_semaphore(lua_State *L) { return make(L, &conc_semaphore_class); }

/* BoundedSemaphore([value]): the same, and never more. */
int lc_bounded(lua_State *L) { return make(L, &conc_bounded_class); }
