/***
A semaphore: a count of permits that threads take and give. A BoundedSemaphore
never has more than it began with.
@classmod Semaphore
*/

#include "core/semaphore.h"

#include "ipc/ssemaphore.h"
#include "lua/acquired.h"
#include "lua/types.h"

/* ---- Bounded or not, of this process or in shared memory ---- */

static conc_obj *check(lua_State *L) {
  conc_obj *o = lc_testany(L, 1);
  if (o == NULL ||
      (o->cls != &conc_semaphore_class && o->cls != &conc_bounded_class &&
       o->cls != &conc_ssemaphore_class.cls &&
       o->cls != &conc_sbounded_class.cls))
    lc_typeerror(L, 1, &conc_semaphore_class);
  return o;
}

static inline conc_semaphore *local(const conc_obj *o) {
  bool is = o->cls == &conc_semaphore_class || o->cls == &conc_bounded_class;
  return is ? (conc_semaphore *)o : NULL;
}

static inline conc_ssemaphore *shared(const conc_obj *o) {
  return (conc_ssemaphore *)o;
}

static bool is_bounded(const conc_obj *o) {
  return o->cls == &conc_bounded_class || o->cls == &conc_sbounded_class.cls;
}

static apr_status_t try_acquire(conc_obj *s) {
  if (local(s))
    return conc_semaphore_try(local(s)) ? APR_SUCCESS : APR_EAGAIN;
  return conc_ssemaphore_try(shared(s));
}

static apr_status_t s_acquire(conc_obj *s, conc_parker *self,
                              conc_time deadline) {
  return local(s) ? conc_semaphore_acquire(local(s), self, deadline)
                  : conc_ssemaphore_acquire(shared(s), self, deadline);
}

static apr_status_t s_release(conc_obj *s, uint32_t n) {
  return local(s) ? conc_semaphore_release(local(s), n)
                  : conc_ssemaphore_release(shared(s), n);
}

static uint32_t value_of(const conc_obj *s) {
  return local(s) ? conc_semaphore_value(local(s))
                  : conc_ssemaphore_value(shared(s));
}

static uint32_t most_of(const conc_obj *s) {
  return local(s) ? local(s)->most : conc_ssemaphore_at(shared(s))->most;
}

/* ---- Methods ---- */

/***
Take one permit, waiting until there is one.
@function acquire
@tparam[opt] number timeout seconds to wait for at most; nil is for ever, 0 is
not at all
@treturn Semaphore the semaphore itself; or `false, "timeout"`. One of
`conc.multiprocessing` gives the word "abandoned" too, once, when a process has
died with permits, which are back
@raise when the wait is cancelled or interrupted; no permit was taken then
@usage local permit <close> = semaphore:acquire() -- until the end of the scope
*/
static int semaphore_acquire(lua_State *L) {
  conc_obj *s = check(L);
  if (lua_gettop(L) == 1) {
    apr_status_t st = try_acquire(s);
    if (st != APR_EAGAIN)
      return lc_acquired(L, st);
  }
  return lc_acquire(L, s, s_acquire);
}

static int release(lua_State *L, conc_obj *s, uint32_t n) {
  if (s_release(s, n) == APR_SUCCESS)
    return 0;
  return lc_error(L,
                  is_bounded(s)
                    ? "cannot release a BoundedSemaphore above its initial "
                      "value %d"
                    : "cannot release a Semaphore above %d",
                  (int)most_of(s));
}

/***
Give permits.
@function release
@tparam[opt=1] integer n how many
@raise when a bounded semaphore would have more than it began with, any other
more than 2147483647; nothing is changed then
*/
static int semaphore_release(lua_State *L) {
  conc_obj *s = check(L);
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
  conc_obj *s = check(L);
  lc_nomore(L, 1);
  lua_pushinteger(L, (lua_Integer)value_of(s));
  return 1;
}

/***
Are there no permits left, a moment ago?
@function locked
@treturn boolean
*/
static int semaphore_locked(lua_State *L) {
  conc_obj *s = check(L);
  lc_nomore(L, 1);
  lua_pushboolean(L, value_of(s) == 0);
  return 1;
}

static const luaL_Reg methods[] = {
  {"acquire", semaphore_acquire}, {"release", semaphore_release},
  {"value", semaphore_value},     {"get_value", semaphore_value},
  {"locked", semaphore_locked},   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__close", semaphore_close},
                                       {NULL, NULL}};

const lc_type lc_semaphore_type = {
  .cls = &conc_semaphore_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_bounded_type = {
  .cls = &conc_bounded_class, .methods = methods, .metamethods = metamethods};
const lc_type lc_ssemaphore_type = {.cls = &conc_ssemaphore_class.cls,
                                    .methods = methods,
                                    .metamethods = metamethods};
const lc_type lc_sbounded_type = {.cls = &conc_sbounded_class.cls,
                                  .methods = methods,
                                  .metamethods = metamethods};

static uint32_t check_value(lua_State *L) {
  static const char *const names[] = {"value", NULL};
  lc_options(L, names);
  return (uint32_t)lc_optinteger(L, 1, "value", 1, 0, CONC_SEMAPHORE_MAX);
}

static int make(lua_State *L, const conc_class *cls) {
  uint32_t value = check_value(L);
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

static int make_shared(lua_State *L, const conc_shared_class *cls) {
  uint32_t value = check_value(L);
  lc_box *box = lc_newbox(L, &cls->cls);
  conc_ssemaphore *s;
  apr_status_t st = conc_ssemaphore_new(&s, cls, value);
  if (st != APR_SUCCESS)
    return lc_fail(L, st);
  box->obj = &s->proxy.obj;
  return 1;
}

/* Semaphore([value]) and BoundedSemaphore([value]) of conc.multiprocessing */
int lc_ssemaphore(lua_State *L) {
  return make_shared(L, &conc_ssemaphore_class);
}

int lc_sbounded(lua_State *L) { return make_shared(L, &conc_sbounded_class); }
