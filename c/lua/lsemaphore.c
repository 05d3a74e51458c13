/***
A semaphore: a count of permits that threads take and give. A BoundedSemaphore
never has more than it began with.
@classmod Semaphore
*/

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

/***
Take one permit, waiting until there is one.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Semaphore the semaphore itself; or `false, "timeout"`
@raise when the wait is cancelled or interrupted; no permit was taken then
@usage local permit <close> = semaphore:acquire() -- until the end of the scope
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

/***
Give permits.
@function release
@tparam[opt=1] integer n how many
@raise when a bounded semaphore would have more than it began with, any other
more than 2147483647; nothing is changed then
*/
static int semaphore_release(lua_State *L) {
  conc_semaphore *s = check(L);
  lc_nomore(L, 2);
  return release(L, s,
                 (uint32_t)lc_optinteger(L, 2, "n", 1, 1, CONC_SEMAPHORE_MAX));
}

static int semaphore_close(lua_State *L) { return release(L, check(L), 1); }

/***
Permits left, a moment ago.
@function value
@treturn integer
*/
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

const lc_type lc_semaphore_type = {
  .cls = &conc_semaphore_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_bounded_type = {
  .cls = &conc_bounded_class, .methods = methods, .metamethods = metamethods};

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

/***
Make a semaphore.
@function Semaphore
@tparam[opt=1] integer value its permits at first
@usage Semaphore(3)
Semaphore{value = 3}
*/
int lc_semaphore(lua_State *L) { return make(L, &conc_semaphore_class); }

/***
Make a semaphore that never has more permits than at first.
@function BoundedSemaphore
@tparam[opt=1] integer value
*/
int lc_bounded(lua_State *L) { return make(L, &conc_bounded_class); }
