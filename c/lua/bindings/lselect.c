/*
 * conc.select: wait for the first of several things.
 *
 * Reference: Go's select statement, and Alternate of Concurrent ML.
 */

#include <math.h>
#include <string.h>

#include "core/future.h"
#include "lua/await.h"
#include "lua/priority.h"
#include "lua/selectable.h"
#include "lua/state.h"
#include "lua/types.h"

/* Beside each case: how it looks in Lua. */
typedef struct choice {
  const lc_selectable *how; /* NULL: a timer */
  bool put;
} choice;

/*
 * All of a call.  There is room for one case more.  Cases whose messages must be
 * freed whatever is raised are in a userdata; a few others are on the stack.
 *   stack: 1 the table, 2 the timeout, then the object of each case
 */
enum { FEW = 4, OBJECTS = 3 };

typedef struct call {
  conc_selection s;
  choice *choices;
} call;

/* ---- Memory ---- */

typedef struct block {
  size_t n;
  conc_case cases[1];
} block;

static int block_gc(lua_State *L) {
  block *b = lua_touserdata(L, 1);
  for (size_t i = 0; i < b->n; i++) {
    conc_msg_fini(&b->cases[i].msg);
    conc_priority_fini(&b->cases[i].prio);
  }
  b->n = 0;
  return 0;
}

static void push_block(lua_State *L, call *c) {
  static const char key = 0;
  size_t n = c->s.n;
  size_t at = sizeof(block) + (n + 1) * sizeof(conc_case);
  size_t then = at + (n + 1) * sizeof(conc_waiter);
  char *p = lua_newuserdatauv(L, then + n * sizeof(choice), 0);
  block *b = (block *)(void *)p;
  memset(b, 0, at);
  b->n = n;
  lc_setfinalizer(L, &key, block_gc);
  c->s.cases = b->cases;
  c->s.waiters = (conc_waiter *)(void *)(p + at);
  c->choices = (choice *)(void *)(p + then);
}

/* ---- Reading the table ---- */

/* Is the key on the top one of a case of {object, put =, priority =}? */
static bool known(lua_State *L) {
  if (lua_isinteger(L, -1))
    return lua_tointeger(L, -1) == 1;
  if (lua_type(L, -1) != LUA_TSTRING)
    return false;
  const char *s = lua_tostring(L, -1);
  return strcmp(s, "put") == 0 || strcmp(s, "priority") == 0;
}

static void check_put(lua_State *L, int number, int idx) {
  lua_pushnil(L);
  for (; lua_next(L, idx); lua_pop(L, 1)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (!known(L))
      lc_badcase(L, number, "unknown option '%s'", luaL_tolstring(L, -1, NULL));
  }
  lua_pushliteral(L, "put");
  if (lua_rawget(L, idx) == LUA_TNIL)
    lc_badcase(L, number, "a table needs an item in 'put', which is not nil");
  lua_pop(L, 1);
}

static const lc_selectable *selectable(lua_State *L, int number, int idx) {
  const conc_obj *o = lc_testany(L, idx);
  for (const lc_selectable *const *p = lc_selectables; *p != NULL && o; p++)
    if ((*p)->cls == o->cls)
      return *p;
  lc_badcase(L, number, "cannot select on a %s", lc_nameof(L, idx));
  return NULL;
}

static void make_timer(lua_State *L, int number, int idx, conc_case *c) {
  lua_Number s = lua_tonumber(L, idx);
  if (isnan(s))
    lc_badcase(L, number, "seconds must not be NaN");
  if (s < 0)
    lc_badcase(L, number, "seconds must not be negative");
  conc_case_timer(c, conc_after(s));
}

/* {object, put = item} at 'idx', which is replaced by the object. */
static void make_put(lua_State *L, int number, int idx, call *c) {
  choice *ch = &c->choices[number - 1];
  check_put(L, number, idx);
  lua_rawgeti(L, idx, 1);
  ch->how = selectable(L, number, lua_gettop(L));
  ch->put = true;
  if (ch->how->make_put == NULL)
    lc_badcase(L, number, "cannot put into a %s", lc_nameof(L, -1));
  ch->how->make_put(L, number, idx, lc_testany(L, -1), &c->s.cases[number - 1]);
  lua_replace(L, idx);
}

static void make_case(lua_State *L, int number, call *c) {
  int idx = OBJECTS + number - 1;
  conc_case *k = &c->s.cases[number - 1];
  choice *ch = &c->choices[number - 1];
  *ch = (choice){NULL, false};
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER: make_timer(L, number, idx, k); break;
  case LUA_TTABLE: make_put(L, number, idx, c); break;
  default:
    ch->how = selectable(L, number, idx);
    ch->how->make(L, number, lc_testany(L, idx), k);
  }
}

/* Nothing but cases, as many as there are, and the timeout. */
static void check_keys(lua_State *L, lua_Integer n) {
  lua_pushnil(L);
  for (; lua_next(L, 1); lua_pop(L, 1)) {
    lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    bool timeout = lua_type(L, -2) == LUA_TSTRING &&
                   strcmp(lua_tostring(L, -2), "timeout") == 0;
    if (!timeout && (i < 1 || i > n))
      lc_badarg(
        L, 1,
        lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
  }
}

/* Push the cases' objects; returns whether a case may own something for longer
   than a moment: an item to put, or a priority. */
static bool push_objects(lua_State *L, int n) {
  bool owning = false;
  luaL_checkstack(L, n + 20, "too many cases");
  for (int i = 1; i <= n; i++)
    if (lua_rawgeti(L, 1, i) == LUA_TTABLE ||
        lc_test(L, -1, &conc_queue_priority) != NULL)
      owning = true;
  return owning;
}

static conc_time check_timeout(lua_State *L, size_t n) {
  lua_pushliteral(L, "timeout");
  int type = lua_rawget(L, 1);
  if (n == 0 && type == LUA_TNIL)
    lc_badarg(L, 1, "no case and no timeout: this would not end");
  return lc_deadline(L, 2, "timeout");
}

/* ---- Calling ---- */

static int give(lua_State *L, const call *c, apr_status_t st) {
  conc_case *k = &c->s.cases[c->s.which];
  const choice *ch = &c->choices[c->s.which];
  int idx = OBJECTS + (int)c->s.which;
  lc_get(L)->grace = LC_GRACE; /* it may be a lock that is held now */
  lua_pushinteger(L, (lua_Integer)c->s.which + 1);
  if (st == CONC_CLOSED) {
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 3;
  }
  if (ch->how == NULL || ch->put) {
    lua_pushboolean(L, 1);
    return 2;
  }
  if (ch->how->give != NULL) {
    int top = lua_gettop(L);
    int n = ch->how->give(L, idx, k);
    if (lua_gettop(L) != top + n) { /* drop what lies between */
      lua_rotate(L, top + 1, n);
      lua_settop(L, top + n);
    }
    return n + 1;
  }
  lua_pushvalue(L, idx);
  return 2;
}

/* ---- In a worker ---- */

static conc_future *future_of(const conc_case *c) {
  bool is = c->obj != NULL && c->obj->cls == &conc_future_class;
  return is ? (conc_future *)c->obj : NULL;
}

static conc_future *claim(void *arg, conc_worker *w) {
  const call *c = arg;
  for (size_t i = 0; i < c->s.n; i++) {
    conc_future *f = future_of(&c->s.cases[i]);
    if (f != NULL && conc_pool_claim(w, f))
      return f;
  }
  return NULL;
}

static bool has_future(const call *c) {
  size_t i = 0;
  while (i < c->s.n && future_of(&c->s.cases[i]) == NULL)
    i++;
  return i < c->s.n;
}

static bool has_timer(const call *c) {
  size_t i = 0;
  while (i < c->s.n && c->choices[i].how != NULL)
    i++;
  return i < c->s.n;
}

/* Sleep until a case was taken, or there may be a task: APR_EAGAIN. */
static apr_status_t sleep_on_all(lua_State *L, call *c, conc_pool *p) {
  size_t n = c->s.n++;
  conc_case_tasks(&c->s.cases[n], p);
  apr_status_t st = conc_select(&c->s, lc_self(L), CONC_FOREVER);
  c->s.n = n;
  return st == APR_SUCCESS && c->s.which == n ? APR_EAGAIN : st;
}

/*
 * A task that selects among futures, too, runs tasks of its pool meanwhile, as
 * it does in other waits for futures (see lc_goal).
 */
static apr_status_t select_helping(lua_State *L, call *c, conc_pool *p,
                                   conc_time deadline) {
  const lc_goal g = {.arg = c, .claim = claim};
  bool any = deadline == CONC_FOREVER && !has_timer(c);
  apr_status_t st = conc_select(&c->s, lc_self(L), CONC_NOW);
  while (APR_STATUS_IS_TIMEUP(st) && deadline != CONC_NOW) {
    st = APR_EAGAIN;
    if (!lc_help(L, &g, any)) {
      if (!any || conc_pool_over(p))
        return conc_select(&c->s, lc_self(L), deadline);
      st = sleep_on_all(L, c, p);
    }
    if (st == APR_EAGAIN)
      st = conc_select(&c->s, lc_self(L), CONC_NOW);
  }
  lc_helped_enough(L);
  return st;
}

static apr_status_t select_once(lua_State *L, call *c, conc_time deadline) {
  conc_pool *p = has_future(c) ? lc_helped(L) : NULL;
  return p == NULL ? conc_select(&c->s, lc_self(L), deadline)
                   : select_helping(L, c, p, deadline);
}

/* ---- All ---- */

static int run(lua_State *L, call *c, conc_time deadline) {
  apr_status_t st;
  for (int i = 1; i <= (int)c->s.n; i++)
    make_case(L, i, c);
  do
    st = select_once(L, c, deadline);
  while (lc_again(L, st));
  if (APR_STATUS_IS_TIMEUP(st))
    return lc_outcome(L, st);
  if (st != APR_SUCCESS && st != CONC_CLOSED)
    return lc_fail(L, st);
  return give(L, c, st);
}

/*
 * select{case, ..., timeout = seconds}: the number of the case that was taken,
 * and what it gave; or nil, "timeout"
 */
int lc_select(lua_State *L) {
  conc_case cases[FEW + 1];
  conc_waiter waiters[FEW + 1];
  choice choices[FEW];
  call c = {{cases, waiters, 0, 0}, choices};
  if (lua_type(L, 1) != LUA_TTABLE)
    lc_argerror(L, 1, "cases", "table expected, got %s", lc_nameof(L, 1));
  lc_nomore(L, 1);
  lua_Unsigned n = lua_rawlen(L, 1);
  if (n > INT16_MAX)
    return lc_badarg(L, 1, "too many cases");
  check_keys(L, (lua_Integer)n);
  c.s.n = (size_t)n;
  conc_time deadline = check_timeout(L, c.s.n);
  if (push_objects(L, (int)n) || n > FEW)
    push_block(L, &c);
  return run(L, &c, deadline);
}
