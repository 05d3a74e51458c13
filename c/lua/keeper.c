#include "lua/keeper.h"

#include <string.h>

#include "lua/bindings/lexecutor.h"
#include "lua/callback.h"
#include "lua/failure.h"
#include "lua/post.h"
#include "lua/state.h"
#include "lua/task.h"
#include "lua/worker.h"

static const int64_t STALL = 5000000, /* ns until tasks are taken back */
  ENOUGH = 2000000,                   /* ns of work to have in flight */
  OVERHEAD = 1000;                    /* ns a task takes at least */

/* ---- Giving tasks ---- */

static void ring_late(conc_alarm *a) {
  (void)conc_future_ask((conc_future *)a->target, CONC_ASK_LATE);
}

static apr_status_t set_timeout(lc_keeper *k, conc_future *f, double seconds) {
  conc_clock *clock = conc_root_clock(k->S->root);
  apr_status_t st = conc_alarm_new(&k->alarm, &f->obj, ring_late, NULL);
  return st != APR_SUCCESS
           ? st
           : conc_clock_set(clock, k->alarm, conc_after(seconds));
}

static apr_status_t send_task(lc_keeper *k, unsigned slot) {
  conc_future *f = k->slots[slot];
  conc_lane_head head = {.slot = (uint8_t)slot};
  uint8_t tag = f->kind == LC_TASK_OPTIONS ? LC_TASK_CALL
                : f->kind == LC_TASK_RANGE ? LC_TASK_CHUNK
                                           : f->kind;
  const lc_items range = lc_range_of(f);
  head.from = range.from;
  head.to = range.to;
  const conc_lane_load load = {.parts = lc_post_parts(f), .tag = tag};
  return conc_lane_give(k->lane, &head, &load, k->S->self);
}

/* A task that was taken goes into the lane. */
static void give(lc_keeper *k, conc_future *f) {
  conc_msg why;
  const char *name;
  lc_post post = lc_post_of(f, &name);
  bool alone = post.timeout >= 0;
  unsigned slot = lc_keeper_put(k, f);
  if (alone && k->n > 1) {
    k->drain = true;
    lc_keeper_return(k, slot);
    return;
  }
  apr_status_t st = alone ? set_timeout(k, f, post.timeout) : APR_SUCCESS;
  k->drain = alone;
  if (st == APR_SUCCESS)
    st = send_task(k, slot);
  if (st == APR_SUCCESS) {
    k->given++;
    return;
  }
  lc_pack_status(k->L, st, &why);
  lc_keeper_finish(k, slot, CONC_FUTURE_FAILED, &why);
}

/* How many may be in flight now. */
static uint64_t limit(const lc_keeper *k) {
  uint64_t most = k->window;
  if (k->drain && k->n > 0)
    return 0;
  if (most > 1) { /* leave their share to the others */
    uint64_t share = conc_pool_queued(k->p) / k->conf->max_workers + 1 + k->n;
    most = share < most ? share : most;
  }
  if (k->conf->max_tasks != 0 && k->conf->max_tasks - k->given + k->n < most)
    most = k->conf->max_tasks - k->given + k->n;
  return most;
}

static apr_status_t wait_for_task(lc_keeper *k, conc_future **f) {
  conc_parker *self = lc_idle(k->S);
  conc_time since = conc_sys_now();
  self->idle = true; /* nobody waits for this wait to end */
  conc_time until = k->conf->idle < 0 ? CONC_FOREVER : since + k->conf->idle;
  apr_status_t st = conc_pool_take(k->w, f, self, until);
  self->idle = false;
  atomic_fetch_add_explicit(&k->w->waited, conc_sys_now() - since,
                            memory_order_relaxed);
  return st;
}

/* Take tasks; waits for one when none is in flight. */
static apr_status_t fill(lc_keeper *k) {
  while (k->n < limit(k)) {
    conc_future *f;
    apr_status_t st = k->n == 0
                        ? wait_for_task(k, &f)
                        : conc_pool_take(k->w, &f, lc_idle(k->S), CONC_NOW);
    if (APR_STATUS_IS_TIMEUP(st) && k->n == 0) {
      if (conc_worker_retire(k->w))
        return CONC_CLOSED;
      continue;
    }
    if (st != APR_SUCCESS)
      return APR_STATUS_IS_TIMEUP(st) ? APR_SUCCESS : st;
    give(k, f);
  }
  return APR_SUCCESS;
}

_Static_assert(sizeof(conc_lane_head) <= sizeof(((conc_taken *)0)->head),
               "a head is taken whole");

static void take_one_back(lc_keeper *k, const conc_taken *t) {
  const conc_lane_head *head = (const conc_lane_head *)(const void *)t->head;
  if (t->size < sizeof *head || t->tag == CONC_LANE_INIT)
    return;
  if (t->tag == CONC_LANE_BLOB) {
    conc_lane_forget(k->lane, head);
  } else if (head->slot < KEEPER_SLOTS && k->slots[head->slot] != NULL) {
    k->given--;
    lc_keeper_return(k, head->slot);
  }
}

/*
 * All in one step: the process must not find a task whose code, sent ahead, was
 * taken back.  If that cannot be, it is not to go on.  Each goes to the head of
 * the queue: the last one first, to keep their order.
 */
void lc_keeper_take_back(lc_keeper *k) {
  enum { MOST = KEEPER_SLOTS * (1 + CONC_LANE_FEW) + 1 };
  conc_taken list[MOST];
  size_t n;
  apr_status_t st =
    conc_ring_drain(&conc_lane_at(k->lane)->tasks, list, MOST, &n);
  if (st != APR_SUCCESS)
    (void)conc_process_signal(k->process, CONC_KILL);
  for (size_t i = n; i-- > 0;) {
    take_one_back(k, &list[i]);
    conc_taken_fini(&list[i]);
  }
}

/* ---- Taking results ---- */

static void learn(lc_keeper *k, int64_t ns, conc_future *f) {
  int64_t took = ns < 0 ? 0 : ns;
  k->average += (took - k->average) / 4;
  int64_t n = ENOUGH / (k->average + OVERHEAD);
  k->window = n < 1 ? 1 : n > KEEPER_SLOTS ? KEEPER_SLOTS : (uint32_t)n;
  atomic_fetch_add_explicit(&k->w->worked, took, memory_order_relaxed);
  if (conc_pool_is_slow(k->p, took)) {
    char name[CONC_SLOW_NAME + 1] = "?";
    const char *given;
    uint32_t len = lc_post_of(f, &given).len;
    if (len > 0) {
      memcpy(name, given, len);
      name[len] = '\0';
    }
    conc_pool_slow(k->p, took, name);
  }
}

/* (failure): its error value */
static int push_error(lua_State *L) {
  lc_push_failure(L, lua_touserdata(L, 1));
  lua_pop(L, 1);
  return 1;
}

/* The process has initialized itself, or failed to. */
static void begin(lc_keeper *k, const conc_item *item) {
  conc_msg why;
  k->ready = item->tag == CONC_LANE_READY;
  k->misses = 0;
  conc_worker_enable(k->w);
  atomic_store(&k->w->startup, conc_sys_now() - k->w->hired);
  if (k->ready || conc_lane_decode(k->lane, &why, item) != APR_SUCCESS)
    return;
  k->failed = true;
  lua_pushcfunction(k->L, push_error);
  lua_pushlightuserdata(k->L, &why);
  (void)lua_pcall(k->L, 1, 1, 0); /* else: why it cannot be told */
  conc_msg_fini(&why);
  lc_init_failed(k->L, k->p);
  conc_pool_hurry(k->p, CONC_HASTE);
}

/* Some of the items of a task are done. */
static void take_part(lc_keeper *k, const conc_item *item) {
  const conc_lane_head *head = conc_lane_head_of(item);
  conc_msg m = {0};
  if (head->slot >= KEEPER_SLOTS || k->slots[head->slot] == NULL)
    return;
  lc_piece *p = lc_keeper_piece(k, head->slot);
  uint32_t from = lc_range_of(k->slots[head->slot]).from;
  if (p != NULL && head->from == from + p->done && head->to > head->from &&
      conc_lane_decode(k->lane, &m, item) == APR_SUCCESS &&
      lc_piece_add(p, &m, head->to - head->from) == APR_SUCCESS)
    return;
  conc_msg_fini(&m);
  (void)conc_process_signal(k->process, CONC_KILL); /* they are done again */
}

void lc_keeper_deliver(lc_keeper *k, const conc_item *item) {
  conc_msg m;
  if (item->tag == CONC_LANE_READY || item->tag == CONC_LANE_BROKEN) {
    begin(k, item);
    return;
  }
  const conc_lane_head *head = conc_lane_head_of(item);
  if (item->tag == CONC_LANE_PART && head != NULL)
    take_part(k, item);
  if (item->tag < CONC_LANE_ENDED || head == NULL)
    return;
  if (head->slot >= KEEPER_SLOTS || k->slots[head->slot] == NULL)
    return;
  unsigned slot = head->slot;
  conc_future_state how = (conc_future_state)(item->tag - CONC_LANE_ENDED);
  apr_status_t st = conc_lane_decode(k->lane, &m, item);
  learn(k, head->ns, k->slots[slot]);
  if (st == APR_SUCCESS && how >= CONC_FUTURE_CANCELLED &&
      how <= CONC_FUTURE_FAILED)
    lc_keeper_finish(k, slot, how, &m);
  else
    lc_keeper_fail(k, slot, "Error", "the result of the task is corrupt");
}

/* Take the item and all that are there; true: some task has ended. */
static bool take_results(lc_keeper *k, conc_item *item) {
  conc_ring *r = &conc_lane_at(k->lane)->results;
  bool ended = false;
  do {
    ended = ended || item->tag != CONC_LANE_PART;
    lc_keeper_deliver(k, item);
    conc_item_fini(item);
  } while (conc_ring_pop(r, item, k->S->self, CONC_NOW) == APR_SUCCESS);
  return ended;
}

/* Wait until some task has ended. */
static apr_status_t collect(lc_keeper *k) {
  conc_ring *r = &conc_lane_at(k->lane)->results;
  conc_item item;
  conc_time until = k->n > 1 ? conc_sys_now() + STALL : CONC_FOREVER;
  for (;;) {
    apr_status_t st = conc_ring_pop(r, &item, lc_idle(k->S), until);
    if (APR_STATUS_IS_TIMEUP(st)) {
      lc_keeper_take_back(k);
      k->window = 1;
      return APR_SUCCESS;
    }
    if (st != APR_SUCCESS)
      return st;
    if (take_results(k, &item))
      return APR_SUCCESS;
  }
}

/* ---- The loop ---- */

bool lc_keeper_is_asked(const lc_keeper *k) {
  for (unsigned i = 0; i < KEEPER_SLOTS; i++)
    if (k->slots[i] != NULL && (conc_future_asked(k->slots[i]) &
                                (CONC_ASK_CANCEL | CONC_ASK_LATE)) != 0)
      return true;
  return false;
}

/* Somebody asked for the end of tasks in flight: those that have not begun end
   at once, the one that runs with its process. */
static void look_at_asked(lc_keeper *k) {
  if (!lc_keeper_is_asked(k))
    return;
  lc_keeper_take_back(k);
  if (lc_keeper_is_asked(k))
    (void)conc_process_signal(k->process, CONC_KILL);
}

/* A wait ended for another reason than it was for. */
static void attend(lc_keeper *k, apr_status_t st) {
  if (st == CONC_INTERRUPTED) {
    lc_attend(k->L, k->S);
    return;
  }
  if (st != CONC_CANCELLED) /* no memory, or nonsense in the lane */
    (void)conc_process_signal(k->process, CONC_KILL);
  if (st == CONC_CANCELLED)
    atomic_store(&k->S->self->cancel, 0);
  if (st != CONC_CANCELLED || !conc_process_alive(k->process))
    lc_keeper_lost(k);
  else
    look_at_asked(k);
}

static bool used_up(const lc_keeper *k) {
  return k->conf->max_tasks != 0 && k->given >= k->conf->max_tasks && k->n == 0;
}

static void work(lc_keeper *k) {
  while (!lc_keeper_hurried(k)) {
    if (k->lane != NULL && used_up(k))
      lc_keeper_dismiss(k);
    if (k->lane == NULL && (conc_pool_over(k->p) || !lc_keeper_hire(k)))
      return;
    if (k->lane == NULL)
      continue;
    apr_status_t st = k->ready ? fill(k) : APR_SUCCESS;
    if (st == CONC_CLOSED && k->n == 0)
      return;
    if ((st == APR_SUCCESS || st == CONC_CLOSED) && (k->n > 0 || !k->ready))
      st = collect(k);
    if (st != APR_SUCCESS && st != CONC_CLOSED)
      attend(k, st);
  }
}

/* Nobody does what this or another keeper gave back after the end had begun. */
static void drop_queued(lc_keeper *k) {
  conc_msg *why = conc_pool_why(k->p), copy = {0};
  if (why == NULL) {
    conc_pool_shutdown(k->p, true);
    return;
  }
  (void)conc_msg_copy(&copy, why);
  conc_pool_fail_queued(k->p, &copy);
}

void lc_keeper_work(conc_worker *w, void *prepared) {
  static const unsigned char nomem[] = "\x11\xa0\x60\x71not enough memory";
  conc_thread *t = w->thread;
  const conc_pool_conf *conf = conc_pool_conf_of(w->pool);
  t->arg = conf->arg; /* lc_worker_open looks there */
  lua_State *L = lc_worker_open(t, prepared);
  t->arg = w;
  if (L == NULL) {
    conc_msg why;
    while (!conc_worker_resign(w) && !conc_worker_retire(w) &&
           !conc_pool_over(w->pool)) {
      (void)conc_msg_make(&why, nomem, sizeof nomem - 1, NULL, 0);
      conc_pool_fail_queued(w->pool, &why);
    }
    return;
  }
  lc_keeper k = {
    .L = L, .S = lc_open(L), .w = w, .p = w->pool, .conf = conf, .window = 1};
  work(&k);
  if (k.lane != NULL && lc_keeper_hurried(&k))
    lc_keeper_abort(&k);
  else if (k.lane != NULL)
    lc_keeper_dismiss(&k);
  if (lc_keeper_hurried(&k))
    drop_queued(&k);
  lc_worker_close(L);
}

void lc_keeper_interrupt(conc_worker *w) { conc_thread_interrupt(w->thread); }
