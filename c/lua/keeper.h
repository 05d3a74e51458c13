#ifndef LC_KEEPER_H
#define LC_KEEPER_H

/*
 * The keeper of a worker process: a thread of a ProcessPoolExecutor's pool that
 * starts the process, hands it tasks through a lane, ends the futures with what
 * comes back, and starts another one when it dies.
 *
 * Tasks in flight are futures that the keeper has started.  Those that the
 * process has not taken from the lane can be taken back: they go to the front
 * of the pool's list when the process dies, or is busy for long with one of
 * those before, so that no task ever waits behind another one while somebody is
 * free.  So at most one task in flight is not in the lane: it runs, or is lost
 * with its process.
 *
 * How many are in flight: as many as the process does in a few milliseconds,
 * so tiny tasks do not pay a wake-up each, and long ones stay where any process
 * may take them.  A task with a timeout is alone, so that its time counts from
 * its start.
 */

#include "core/executor.h"
#include "ipc/lane.h"
#include "lua/lc.h"
#include "lua/piece.h"

enum { KEEPER_SLOTS = 64 };

/* [o] all, of the keeper's thread */
typedef struct lc_keeper {
  lua_State *L;
  lc_state *S;
  conc_worker *w;
  conc_pool *p;
  const conc_pool_conf *conf;
  conc_lane *lane;                  /* a reference; NULL: no process */
  conc_process *process;            /* a reference */
  conc_alarm *alarm;                /* of the task with a timeout, or NULL */
  conc_future *slots[KEEPER_SLOTS]; /* in flight, a reference each; or NULL */
  lc_piece *pieces[KEEPER_SLOTS];   /* what they have done, or NULL */
  uint32_t n;                       /* in flight */
  uint32_t hint;                    /* where to look for an empty slot */
  uint32_t window;                  /* how many may be */
  int64_t average;                  /* ns a task takes */
  uint64_t given;                   /* tasks to this process */
  unsigned misses;                  /* processes in a row that did not begin */
  bool ready;                       /* the process has begun */
  bool drain;                       /* the next task wants to be alone */
  bool failed;                      /* its initializer has */
} lc_keeper;

/* conc_pool_conf.run and interrupt. */
void lc_keeper_work(conc_worker *w, void *prepared);
void lc_keeper_interrupt(conc_worker *w);

/* ---- Slots (keeper_slots.c) ---- */

/* A slot for a task that is given; there is one. */
unsigned lc_keeper_put(lc_keeper *k, conc_future *f);
/* What the task in the slot has done, a new one if need be; or NULL. */
lc_piece *lc_keeper_piece(lc_keeper *k, unsigned slot);
/* The task in the slot is over. */
void lc_keeper_finish(lc_keeper *k, unsigned slot, conc_future_state how,
                      conc_msg *result);
/* ... with a conc.Error. */
void lc_keeper_fail(lc_keeper *k, unsigned slot, const char *cls,
                    const char *text);
/* Give back the task in the slot, which has not begun. */
void lc_keeper_return(lc_keeper *k, unsigned slot);

/* ---- Tasks and results (keeper.c) ---- */

/* Take all tasks out of the lane and give them back. */
void lc_keeper_take_back(lc_keeper *k);
/* A result, or word of the process. */
void lc_keeper_deliver(lc_keeper *k, const conc_item *item);

/* Is any task in flight to end? */
bool lc_keeper_is_asked(const lc_keeper *k);

/* ---- The process (keeper_process.c) ---- */

/*
 * Start a process, or find out why not.  Then other workers do what there is,
 * and this one tries again after a while; when no worker has a process, and
 * none can be had for some tries, what is queued fails.  False: leave, as there
 * is nothing to do.
 */
bool lc_keeper_hire(lc_keeper *k);
/* The process has died. */
void lc_keeper_lost(lc_keeper *k);
/* Let the process end when it has done what it has. */
void lc_keeper_dismiss(lc_keeper *k);
/* Leave now: end the process and all tasks in flight. */
void lc_keeper_abort(lc_keeper *k);
/* Is it time for that? */
bool lc_keeper_hurried(const lc_keeper *k);

#endif
