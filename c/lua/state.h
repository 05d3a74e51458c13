#ifndef LC_STATE_H
#define LC_STATE_H

/*
 * What conc keeps for one Lua state.  It is a userdata in the registry, made
 * when conc is first needed there and finalized last of conc's own.
 */

#include "lua/bindings/llocal.h"
#include "lua/interrupt.h"
#include "lua/lc.h"
#include "lua/pack.h"
#include "lua/update.h"

#include "core/blob.h"
#include "core/executor.h"
#include "core/inbox.h"
#include "core/root.h"

struct lc_state {
  lua_State *main;          /* the main coroutine */
  conc_parker *self;        /* who waits here; NULL: not yet, or closing */
  lua_Hook hook;            /* main's that is no news to us */
  lua_Hook own_hook;        /* the same of another coroutine's */
  lua_State *running;       /* the coroutine that waits or waited last */
  lc_interrupt interrupt;   /* how other threads reach this one */
  struct lc_task *task;     /* the innermost that runs here, see task.h */
  conc_worker *pooled;      /* of which executor this is a worker, or NULL */
  struct lc_stream *stream; /* of the chunk that a worker process does */
  uintptr_t base;           /* where its C stack begins, about */
  conc_inbox *inbox;        /* see callback.h; NULL: not yet */
  size_t listed;            /* futures that callbacks wait for */
  uint32_t calling;         /* callbacks that run, one inside the other */
  conc_thread *thread;      /* who runs here; a reference */
  conc_root *root;          /* the family; a reference */
  conc_obj *env;            /* what workers started here begin with, or NULL */
  double close_limit;       /* see conc.h */
  bool worker;              /* made by conc, not by a host */
  bool interrupted;         /* Ctrl-C ended the last wait here */
  bool closed;              /* it has been finalized */
  bool serving;             /* runs tasks of another process */
  bool packing;             /* 'packer' is in use */
  unsigned char grace;      /* instructions, see interrupt.h */
  unsigned char warn;       /* of 'warn' in a worker, see worker.c */
  uint64_t tid;             /* of the thread that opened it */
  const void *plain_fn;     /* see walk_function.c: one without upvalues ... */
  conc_blob *plain_code;    /* ... its code, which 'known' keeps ... */
  unsigned char plain_nups; /* ... and whether it uses globals ... */
  uint32_t plain_credit;    /* ... and references of it that are ours to give */
  int rows;                 /* see lfuture.c: in the registry; 0: not yet */
  uint64_t loaded_id;       /* see names.c: the code that was asked for last */
  lc_packer packer;         /* of most messages, see pack.c */
  uint64_t names;           /* see names.c: package.loaded as it was then */
  uint64_t filter[16];      /* see names.c */
  lc_watches watches;       /* see update.h */
  lc_locals locals;         /* see llocal.c */
};

/* Does any update run in this state?  Else nobody cares who writes. */
static inline bool lc_updating(const lc_state *S) {
  return S->watches.depth != 0;
}

/*
 * The state of a worker: opened ahead of time, then given to the thread that
 * runs in the calling carrier.  lc_open finds it afterwards; in a state that
 * conc has not made, lc_open founds a family.
 */
lc_state *lc_open_worker(lua_State *L);
void lc_adopt_worker(lc_state *S, conc_thread *t);

#endif
