#include "ipc/bell.h"

#include "ipc/layout.h"
#include "sys/process.h"
#include "wait/mutex.h"

/* 'word' changes after the bell has rung; the helper alone writes it. */
static struct {
  conc_word lock;
  bool runs;      /* [l] */
  conc_word word; /* [a] */
} bell;

static void *serve(void *arg) {
  conc_word *rung = &conc_slot_of(conc_heap_self())->bell;
  conc_sys_name_thread("conc bell");
  for (;;) {
    uint32_t seen = atomic_load(rung);
    atomic_fetch_add(&bell.word, 1);
    conc_wake(&bell.word, CONC_ALL);
    conc_sys_wait_shared(rung, seen, -1);
  }
  return arg;
}

static apr_status_t start(void) {
  apr_status_t st = APR_SUCCESS;
  conc_mutex_lock(&bell.lock);
  if (!bell.runs)
    st = conc_sys_helper(serve, NULL);
  if (st == APR_SUCCESS)
    bell.runs = true;
  conc_mutex_unlock(&bell.lock);
  return st;
}

/*
 * The word is read before the gate is watched: a ring that comes later changes
 * it.
 */
apr_status_t conc_bell_watch(conc_sgate *g, conc_waiter *w) {
  apr_status_t st = start();
  if (st != APR_SUCCESS)
    return st;
  w->word = &bell.word;
  w->expected = atomic_load(&bell.word);
  conc_sgate_watch(g);
  return st;
}
