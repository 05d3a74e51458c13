#ifndef LC_TASK_H
#define LC_TASK_H

/*
 * Running the tasks of an executor in a state, and ending those that are told
 * to.
 */

#include "core/executor.h"
#include "lua/lc.h"

/* What a task's message holds: conc_future.kind. */
enum {
  LC_TASK_CALL,    /* a function and its arguments */
  LC_TASK_OPTIONS, /* timeout or nil, name or nil, then the same */
  LC_TASK_CHUNK,   /* a piece of a map, see lmap.h */
  LC_TASK_RANGE,   /* some items of such a piece, see piece.h */
  LC_TASK_PIECES   /* what such a piece was done in */
};

/* One that runs, on the C stack.  [o] of the thread that runs it */
typedef struct lc_task {
  lc_state *state;
  conc_future *future; /* a reference */
  struct lc_task *outer;
  bool told;         /* its cancellation was raised */
  conc_msg msg;      /* the task, then the result */
  conc_alarm *alarm; /* of its timeout, or NULL */
  conc_time begin;
  conc_time end; /* 0: not yet, or it failed */
  char name[72]; /* "": not known */
} lc_task;

/*
 * Run f, which was started, in this state; its reference is used up.  'w' is
 * the worker, or NULL for a task that runs in the state that submitted it.
 * Returns when the task ended, and in *begin (if that is not NULL) when it
 * began.  Does not raise.
 */
conc_time lc_run_task(lua_State *L, conc_worker *w, conc_future *f,
                      conc_time *begin);

/* The same for a task of that pool that nobody else knows, and that is not
   queued there: run by whoever submits it. */
void lc_run_here(lua_State *L, conc_pool *p, conc_future *f);

/*
 * The thread was asked to stop: raise the task's CancelledError or
 * TimeoutError, if it is the innermost one that is meant and was not told
 * before; in a thread that runs no task always.
 */
void lc_cancelled(lua_State *L, lc_state *S);
/* Was the running task told to stop?  Then what it caught is that. */
bool lc_was_stopped(lua_State *L);
/*
 * Is what the running task does to end here, since it was told to stop, or all
 * threads of the family were?
 */
bool lc_must_end(lua_State *L);
/* Raise once more what the running task was told. */
int lc_end_here(lua_State *L);
/* What ended with an error was not the task itself but a callback that it ran:
   if it was told there, and had not been told before, it will be told again. */
void lc_tell_again(lua_State *L, bool before);
/* Is the running task asked to stop, and was not told? */
bool lc_is_asked(const lc_state *S);

#endif
