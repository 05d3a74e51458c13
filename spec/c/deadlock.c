/*
 * The watcher of core/deadlock.c: no false alarm while a token is always on its
 * way and threads begin and end, with the watcher looking all the time; and in
 * which processes it is silent.
 */

#include "crew.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <string.h>

#include "core/deadlock.h"
#include "core/root.h"
#include "lua/module.h"
#include "wait/lot.h"

enum { RING = 4 };

/* ---- A family without Lua ---- */

static void *nothing(void *arg) { return arg; }
static void drop(void *prepared) { (void)prepared; }

static bool look_often(void *arg) {
  conc_root *r = arg;
  conc_thread *main = conc_root_main(r);
  for (int i = 0; i < 5; i++)
    conc_deadlock_look(r);
  main->parker->cls->unpark(main->parker); /* and again */
  conc_release(&main->obj);
  return false;
}

typedef struct family {
  conc_root *root;
  conc_parker *self;
  conc_thread *main;
} family;

static family found(void) {
  family f;
  conc_crew_conf conf = {nothing, drop, NULL};
  CHECK(conc_root_new(&f.root, &conf) == APR_SUCCESS);
  conc_deadlock_patience(f.root, 0);
  f.self = conc_parker_new();
  CHECK(f.self != NULL);
  CHECK(conc_thread_adopt(&f.main, f.root, "main", f.self) == APR_SUCCESS);
  f.self->poll = look_often;
  f.self->arg = f.root;
  f.self->sliced = true;
  return f;
}

static void disband(family *f) {
  f->self->poll = NULL;
  conc_root_close(f->root, f->self, CONC_FOREVER, 1000000000);
  conc_parker_free(f->self);
  conc_release(&f->main->obj);
  conc_root_release(f->root);
}

static conc_thread *start_one(const family *f,
                              void (*body)(conc_thread *t, void *prepared),
                              void *arg) {
  conc_thread *t;
  CHECK(conc_thread_new(&t, f->root, "member", false) == APR_SUCCESS);
  t->run = body;
  t->arg = arg;
  CHECK(conc_thread_start(t) == APR_SUCCESS);
  return t;
}

static void finish_one(const family *f, conc_thread *t) {
  CHECK(conc_thread_join(t, f->self, CONC_FOREVER) == APR_SUCCESS);
  conc_release(&t->obj);
}

/* ---- A token goes round ---- */

typedef struct place {
  conc_word word; /* 0, or the rounds that are left and 1 */
  struct place *next;
  char apart[CONC_LINE];
} place;

static apr_status_t take(place *p, conc_parker *self, uint32_t *token) {
  while ((*token = atomic_load(&p->word)) == 0) {
    conc_waiter one = {.word = &p->word};
    size_t which;
    apr_status_t st = conc_wait_any(&one, 1, &which, self, CONC_FOREVER);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  atomic_store(&p->word, 0);
  return APR_SUCCESS;
}

static void give(place *p, uint32_t token) {
  atomic_store(&p->word, token);
  conc_wake(&p->word, 1);
}

/* Pass it on until it says 1, which everybody passes on once. */
static void go_round(place *p, conc_parker *self) {
  uint32_t token = 0;
  while (token != 1) {
    CHECK(take(p, self, &token) == APR_SUCCESS);
    give(p->next, token > 2 ? token - 1 : 1);
  }
}

static void member(conc_thread *t, void *prepared) {
  (void)prepared;
  go_round(t->arg, t->parker);
}

static void test_ring(void) {
  family f = found();
  place ring[RING] = {0};
  conc_thread *t[RING];
  for (int i = 0; i < RING; i++)
    ring[i].next = &ring[(i + 1) % RING];
  for (int i = 1; i < RING; i++)
    t[i] = start_one(&f, member, &ring[i]);
  give(&ring[1], (uint32_t)scaled(100000));
  go_round(&ring[0], f.self);
  for (int i = 1; i < RING; i++)
    finish_one(&f, t[i]);
  disband(&f);
}

/* ---- Threads begin and end, and nobody else is there ---- */

static void short_life(conc_thread *t, void *prepared) {
  (void)t;
  (void)prepared;
}

static void test_ends(void) {
  family f = found();
  for (int i = scaled(5000); i > 0; i--)
    finish_one(&f, start_one(&f, short_life, NULL));
  disband(&f);
}

/* ---- And a deadlock is one ---- */

static void stuck(conc_thread *t, void *prepared) {
  place nowhere = {0};
  uint32_t token;
  (void)prepared;
  CHECK(take(&nowhere, t->parker, &token) == CONC_DEADLOCK);
}

static void test_deadlock(void) {
  family f = found();
  for (int i = scaled(200); i > 0; i--) {
    place nowhere = {0};
    uint32_t token;
    conc_thread *t[RING];
    for (int k = 0; k < RING; k++)
      t[k] = start_one(&f, stuck, NULL);
    CHECK(take(&nowhere, f.self, &token) == CONC_DEADLOCK);
    for (int k = 0; k < RING; k++)
      finish_one(&f, t[k]);
  }
  disband(&f);
}

/* ---- Where it is silent ---- */

static lua_State *host(void) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "conc.core", luaopen_conc_core, 0);
  CHECK(luaL_dostring(L, "package.path = 'lua/?.lua;lua/?/init.lua'\n"
                         "conc = require 'conc'\n"
                         "conc.detect_deadlocks(true, 0)") == LUA_OK);
  lua_settop(L, 0);
  return L;
}

static void stop(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "stopped");
}

static void *stop_later(void *L) {
  usleep(500000);
  lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  return NULL;
}

/* Wait for nothing, for half a second; what the error says. */
static bool ends_by(const char *word) {
  pthread_t t;
  lua_State *L = host();
  CHECK(pthread_create(&t, NULL, stop_later, L) == 0);
  CHECK(luaL_dostring(L, "local ok, e = pcall(function()\n"
                         "  return conc.queue.Queue():get()\n"
                         "end)\n"
                         "return tostring(e)") == LUA_OK);
  bool found = strstr(lua_tostring(L, -1), word) != NULL;
  if (!found)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  CHECK(pthread_join(t, NULL) == 0);
  lua_sethook(L, NULL, 0, 0);
  lua_close(L);
  return found;
}

static void handle(int sig) { (void)sig; }

static void test_silence(void) {
  CHECK(ends_by("DeadlockError"));
  lua_State *other = host();
  CHECK(ends_by("stopped"));
  lua_close(other);
  CHECK(signal(SIGUSR1, handle) != SIG_ERR);
  CHECK(ends_by("stopped"));
  CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
  CHECK(signal(SIGINT, handle) != SIG_ERR); /* the main program's own */
  CHECK(ends_by("DeadlockError"));
  CHECK(signal(SIGINT, SIG_DFL) != SIG_ERR);
}

int main(void) {
  static void (*const tests[])(void) = {test_ring, test_ends, test_deadlock,
                                        test_silence};
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
