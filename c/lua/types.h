#ifndef LC_TYPES_H
#define LC_TYPES_H

/* Every binding: its type, and its constructor as Lua calls it. */

#include "lua/lc.h"

extern const lc_type lc_lock_type, lc_rlock_type, lc_condition_type,
  lc_semaphore_type, lc_bounded_type, lc_event_type, lc_barrier_type,
  lc_fifo_type, lc_lifo_type, lc_priority_type, lc_simple_type, lc_value_type,
  lc_array_type, lc_dict_type, lc_local_type, lc_thread_type, lc_future_type,
  lc_executor_type, lc_row_type, lc_slock_type, lc_srlock_type,
  lc_scondition_type, lc_ssemaphore_type, lc_sbounded_type, lc_sevent_type,
  lc_sbarrier_type, lc_svalue_type, lc_sarray_type, lc_smemory_type,
  lc_view_type, lc_process_type, lc_conn_type, lc_listener_type,
  lc_promise_type, lc_watch_type, lc_group_type, lc_squeue_type,
  lc_sjoinable_type, lc_ssimple_type, lc_pipe_type, lc_lane_type,
  lc_process_executor_type;

int lc_lock(lua_State *L);      /* Lock() */
int lc_rlock(lua_State *L);     /* RLock() */
int lc_condition(lua_State *L); /* Condition([lock]) */
int lc_semaphore(lua_State *L); /* Semaphore([value]) */
int lc_bounded(lua_State *L);   /* BoundedSemaphore([value]) */
int lc_event(lua_State *L);     /* Event() */
int lc_barrier(lua_State *L);   /* Barrier(parties [, action [, timeout]]) */
/* Their twins in conc.multiprocessing. */
int lc_slock(lua_State *L);
int lc_srlock(lua_State *L);
int lc_scondition(lua_State *L);
int lc_ssemaphore(lua_State *L);
int lc_sbounded(lua_State *L);
int lc_sevent(lua_State *L);
int lc_sbarrier(lua_State *L);
int lc_svalue(lua_State *L);
int lc_sarray(lua_State *L);
int lc_smemory(lua_State *L);
int lc_squeue(lua_State *L);           /* Queue([maxsize]) */
int lc_sjoinable(lua_State *L);        /* JoinableQueue([maxsize]) */
int lc_ssimple(lua_State *L);          /* SimpleQueue() */
int lc_pipe(lua_State *L);             /* Pipe([duplex]) */
int lc_fifo(lua_State *L);             /* Queue([maxsize]) */
int lc_lifo(lua_State *L);             /* LifoQueue([maxsize]) */
int lc_priority(lua_State *L);         /* PriorityQueue([maxsize]) */
int lc_simple(lua_State *L);           /* SimpleQueue() */
int lc_value(lua_State *L);            /* Value(type [, value]) */
int lc_array(lua_State *L);            /* Array(type, n | sequence) */
int lc_dict(lua_State *L);             /* Dict([table]) */
int lc_local(lua_State *L);            /* Local([init [, args]]) */
int lc_thread(lua_State *L);           /* Thread{target =, args =, ...} */
int lc_executor(lua_State *L);         /* ThreadPoolExecutor([max_workers]) */
int lc_process_executor(lua_State *L); /* ProcessPoolExecutor([max_workers]) */
int lc_shared_executor(lua_State *L);  /* the family's own */
int lc_promise(lua_State *L);          /* Promise() */
int lc_new_watch(lua_State *L);        /* watch(futures) */
int lc_failed(lua_State *L);           /* failed(future) */
int lc_new_group(lua_State *L);        /* group(policy, timeout) */
int lc_task_cancelled(lua_State *L);   /* cancelled() */
int lc_shield(lua_State *L);           /* shield(fn, ...) */
int lc_shielded(lua_State *L);         /* shielded(fn) */
int lc_exposed(lua_State *L);          /* exposed(fn, ...) */
int lc_select(lua_State *L);           /* select{case, ..., timeout =} */
int lc_dump(lua_State *L);             /* dump() */
int lc_detect_deadlocks(lua_State *L); /* detect_deadlocks([on [, patience]]) */
int lc_own_chunks(lua_State *L);       /* own(prefix) */
/* parameters(f): how many a function in Lua takes; nil: any number */
int lc_parameters(lua_State *L);
int lc_raise(lua_State *L); /* raise(text) */
/* Push a new pending Future; 'S' is the state's. */
struct conc_future *lc_newfuture(lua_State *L, lc_state *S);
/* Push a new Promise of that future. */
void lc_push_promise(lua_State *L, struct conc_future *f);

/* The operations of Dict, which are functions because its fields are keys. */
extern const luaL_Reg lc_dict_functions[];
/* current_thread, main_thread, enumerate, active_count, get_ident ... */
extern const luaL_Reg lc_thread_functions[];
/* ... of conc.core for lua/conc/connection.lua. */
extern const luaL_Reg lc_listener_functions[];
extern const luaL_Reg lc_conn_functions[];
extern const luaL_Reg lc_crypto_functions[];
/* ... for lua/conc/multiprocessing.lua. */
extern const luaL_Reg lc_wait_functions[];
extern const luaL_Reg lc_chunk_functions[];

int lc_excepthook(lua_State *L); /* the original one */

/*
 * A message handler: keeps the traceback for lc_push_traceback and leaves the
 * error value as it is.
 */
int lc_traceback(lua_State *L);
/* Push that traceback, once, or nil: there was no memory, or no error. */
void lc_push_traceback(lua_State *L);

#endif
