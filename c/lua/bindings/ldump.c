/* conc.dump: what every thread is at. */

#include "core/deadlock.h"
#include "core/root.h"
#include "core/shield.h"
#include "lua/state.h"
#include "lua/types.h"
#include "wait/lot.h"

/* How long all threads together get to answer: ns. */
static const int64_t PATIENCE = 200000000;

typedef struct entry {
  conc_thread *thread; /* a reference */
  conc_report *report; /* a reference, or NULL */
} entry;

/* A userdata, so that the references are given back whatever is raised. */
typedef struct roster {
  size_t n;
  entry list[1];
} roster;

static int roster_gc(lua_State *L) {
  roster *r = lua_touserdata(L, 1);
  for (size_t i = 0; i < r->n; i++) {
    conc_release(&r->list[i].thread->obj);
    if (r->list[i].report != NULL)
      conc_release(&r->list[i].report->obj);
  }
  r->n = 0;
  return 0;
}

struct filling {
  roster *r;
  size_t room;
  size_t n; /* met */
};

static bool fill(conc_thread *t, void *arg) {
  struct filling *f = arg;
  if (f->n < f->room) {
    f->r->list[f->r->n++] = (entry){(conc_thread *)conc_retain(&t->obj), NULL};
  }
  f->n++;
  return true;
}

static roster *push_roster(lua_State *L, conc_root *root) {
  static const char key = 0;
  for (size_t room = 64;; room *= 2) {
    roster *r = lua_newuserdatauv(L, sizeof *r + room * sizeof *r->list, 0);
    r->n = 0;
    lc_setfinalizer(L, &key, roster_gc);
    struct filling f = {r, room, 0};
    (void)conc_root_visit(root, fill, &f);
    if (f.n <= room)
      return r;
    lua_pop(L, 1);
  }
}

/* The caller's waits are shielded: nothing is raised here. */
static void collect(roster *r, const conc_thread *me, conc_parker *self) {
  conc_time deadline = conc_sys_now() + PATIENCE;
  for (size_t i = 0; i < r->n; i++)
    if (r->list[i].thread != me)
      (void)conc_thread_ask(r->list[i].thread, &r->list[i].report);
  conc_shield_up(self);
  for (size_t i = 0; i < r->n; i++) {
    conc_report *p = r->list[i].report;
    apr_status_t st = APR_SUCCESS;
    while (p != NULL && atomic_load(&p->done) == 0 &&
           (st == APR_SUCCESS || st == APR_EAGAIN))
      st = conc_wait(&p->done, 0, self, deadline);
  }
  conc_shield_down(self);
}

/* Push "name (ident 1, native 2, daemon)". */
static void push_header(lua_State *L, conc_thread *t) {
  char name[256];
  conc_thread_name(t, name, sizeof name);
  lua_pushfstring(L, "%s (ident %I", name, (LUAI_UACINT)t->ident);
  if (atomic_load(&t->nativeset) != 0)
    lua_pushfstring(L, ", native %I", (LUAI_UACINT)t->native);
  else
    lua_pushliteral(L, "");
  lua_pushstring(L, t->daemon ? ", daemon): " : "): ");
  lua_concat(L, 3);
}

static void push_body(lua_State *L, const entry *e, const conc_thread *me) {
  const conc_report *p = e->report;
  if (e->thread == me)
    luaL_traceback(L, L, "runs conc.dump", 1);
  else if (p == NULL)
    lua_pushliteral(L, "begins or ends");
  else if (atomic_load(&p->done) == 0)
    lua_pushliteral(L, "runs, and does not answer (a C function, a coroutine, "
                       "or a host's code)");
  else
    lua_pushstring(L, p->text != NULL ? p->text : "has ended");
}

/* dump(): a text about every thread of this family */
int lc_dump(lua_State *L) {
  lc_state *S = lc_get(L);
  luaL_Buffer b;
  lc_nomore(L, 0);
  conc_parker *self = lc_self(L);
  roster *r = push_roster(L, S->root);
  collect(r, S->thread, self);
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < r->n; i++) {
    push_header(L, r->list[i].thread);
    luaL_addvalue(&b);
    push_body(L, &r->list[i], S->thread);
    luaL_addvalue(&b);
    luaL_addstring(&b, "\n");
  }
  luaL_pushresult(&b);
  return 1;
}

/* detect_deadlocks([on [, patience]]): switch the detector on or off; what it
   was.  patience: seconds that all threads have to wait before it speaks. */
int lc_detect_deadlocks(lua_State *L) {
  lc_nomore(L, 2);
  lc_self(L);
  bool on = lc_optboolean(L, 1, "on", true);
  if (!lua_isnoneornil(L, 2)) {
    conc_time till = lc_deadline(L, 2, "patience");
    conc_time span = till == CONC_NOW ? 0 : till - conc_sys_now();
    conc_deadlock_patience(lc_get(L)->root, span);
  }
  lua_pushboolean(L, conc_deadlock_detect(lc_get(L)->root, on));
  return 1;
}
