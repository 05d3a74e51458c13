/* The watcher of c/sys: watches that end while others come and go. */

#include <string.h>

#include "crew.h"
#include "sys/process.h"

typedef struct eye {
  conc_sys_watch watch;
  conc_word calls, go;
  bool again;
} eye;

static eye *eye_of(conc_sys_watch *w) { return (eye *)(void *)w; }

/* Called, it takes what there is, says so, and waits until it may go on. */
static bool look(conc_sys_watch *w) {
  eye *e = eye_of(w);
  char bytes[8];
  size_t n = sizeof bytes;
  (void)conc_sys_read(w->handle, bytes, &n);
  (void)atomic_fetch_add(&e->calls, 1);
  conc_sys_wake(&e->calls, true);
  while (atomic_load(&e->go) == 0)
    conc_sys_wait(&e->go, 0, -1);
  return e->again;
}

static void open_eye(eye *e, conc_handle ends[2], bool again) {
  CHECK(conc_sys_channel(ends) == APR_SUCCESS);
  *e = (eye){.watch = {ends[0], CONC_READABLE, look, 0}, .again = again};
  CHECK(conc_sys_watch_start(&e->watch) == APR_SUCCESS);
}

static void close_ends(const conc_handle ends[2]) {
  conc_sys_close(ends[0]);
  conc_sys_close(ends[1]);
}

static void touch(conc_handle h) {
  size_t n = 1;
  CHECK(conc_sys_write(h, "x", &n) == APR_SUCCESS && n == 1);
}

static void await_calls(eye *e, uint32_t n) {
  for (uint32_t c; (c = atomic_load(&e->calls)) < n;)
    conc_sys_wait(&e->calls, c, -1);
}

static void let_go(eye *e) {
  atomic_store(&e->go, 1);
  conc_sys_wake(&e->go, true);
}

/* One that is over is over, whichever others were stopped while it ran. */
static void test_over_while_others_stop(void) {
  enum { N = 5 };
  for (int last = 1; last < N; last++) {
    eye e[N];
    conc_handle ends[N][2];
    for (int i = 0; i < N; i++)
      open_eye(&e[i], ends[i], false);
    touch(ends[last][1]);
    await_calls(&e[last], 1);
    for (int i = 0; i < last; i++)
      CHECK(conc_sys_watch_stop(&e[i].watch));
    let_go(&e[last]);
    CHECK(!conc_sys_watch_stop(&e[last].watch));
    for (int i = last + 1; i < N; i++)
      CHECK(conc_sys_watch_stop(&e[i].watch));
    for (int i = 0; i < N; i++)
      close_ends(ends[i]);
  }
}

/* One that wants to be called again is, wherever it stands in a list now. */
static void test_again_while_others_stop(void) {
  eye e[3];
  conc_handle ends[3][2];
  for (int i = 0; i < 3; i++)
    open_eye(&e[i], ends[i], true);
  touch(ends[2][1]);
  await_calls(&e[2], 1);
  CHECK(conc_sys_watch_stop(&e[0].watch));
  let_go(&e[2]);
  touch(ends[2][1]);
  await_calls(&e[2], 2);
  CHECK(conc_sys_watch_stop(&e[2].watch));
  CHECK(conc_sys_watch_stop(&e[1].watch));
  for (int i = 0; i < 3; i++)
    close_ends(ends[i]);
}

/* Stopping one that runs waits for it. */
static void stop_it(worker *w) {
  CHECK(conc_sys_watch_stop(w->arg));
  (void)atomic_fetch_add(&eye_of(w->arg)->calls, 10);
}

static void test_stop_waits(void) {
  eye e;
  conc_handle ends[2];
  worker w[1];
  open_eye(&e, ends, true);
  touch(ends[1]);
  await_calls(&e, 1);
  start(w, 1, stop_it, &e.watch);
  for (int i = 0; i < 100; i++) {
    conc_sys_yield();
    CHECK(atomic_load(&e.calls) == 1);
  }
  let_go(&e);
  join(w, 1);
  CHECK(atomic_load(&e.calls) == 11);
  close_ends(ends);
}

/* Hung up on this side or on the other, a channel is at its end for a watch. */
static void test_hung_up(void) {
  for (int side = 0; side < 2; side++) {
    eye e;
    conc_handle ends[2];
    open_eye(&e, ends, false);
    let_go(&e);
    conc_sys_hang_up(ends[side]);
    await_calls(&e, 1);
    CHECK(!conc_sys_watch_stop(&e.watch));
    close_ends(ends);
  }
}

int main(void) {
  static void (*const tests[])(void) = {test_over_while_others_stop,
                                        test_again_while_others_stop,
                                        test_stop_waits, test_hung_up};
  run_tests(tests, sizeof tests / sizeof *tests);
  return 0;
}
