/*
 * Stopping what runs: conc_future_ask, start and finish (core/future.c), and
 * what a worker makes of it (lua/task.c).  A worker runs task 0, inside it task
 * 1, and after both task 2.  Tasks 0 and 1 end by themselves or only when they
 * are stopped; each is asked twice, by askers that know it to run, and nobody
 * asks task 2.
 *
 * Checked: no cancellation hits a task that was not asked; a task that waits
 * for nothing but its cancellation gets it (else the worker never ends); once;
 * the runner is not called after finish.
 *
 * A cancellation is a word of the worker's thread, which says only that some
 * task was asked.  A look is what a wait in conc or the hook does.  The shelf's
 * lock is one for all futures, which is the worst case.
 *
 * Tried, and found: start without looking for bits; an ask without the shelf's
 * lock; finish that does not pass the lock; no reminder of the outer task; a
 * look that clears the word after it has looked for bits.
 */

#define TASKS 3
#define PENDING 0
#define RUNNING 1
#define DONE 2

byte state[TASKS];
bool asked[TASKS];
bool runner[TASKS];
bool finished[TASKS];
bool told[TASKS];
byte outer[TASKS];
bool stopped[TASKS];
bool cancel = false;
bool shelf = false;

#define NONE 9
byte inner = NONE; /* the innermost task of the worker */

inline lock() { atomic { !shelf -> shelf = true } }
inline unlock() { shelf = false }

inline start(t) {
  atomic { assert(state[t] == PENDING); state[t] = RUNNING };
  runner[t] = true;
  if
  :: asked[t] -> cancel = true
  :: else
  fi;
  outer[t] = inner;
  inner = t
}

/* lc_cancelled: 'hit' if the innermost task is to end now. */
inline look(hit) {
  hit = false;
  cancel = false;
  if
  :: inner != NONE && asked[inner] && !told[inner] ->
    told[inner] = true;
    hit = true
  :: else
  fi
}

/* Between its start and its end a task may look, or has to until it is told. */
inline go_on(t) {
  do
  :: cancel ->
    look(hit);
    assert(!hit || t != 2);
    if
    :: hit -> stopped[t] = true; break
    :: else
    fi
  :: !forever[t] -> break
  od
}

inline finish(t) {
  inner = outer[t];
  atomic { was = asked[t]; state[t] = DONE };
  if
  :: was -> lock(); unlock()
  :: else
  fi;
  finished[t] = true;
  if
  :: was -> cancel = false /* forget_asking */
  :: else
  fi;
  if
  :: inner != NONE && asked[inner] && !told[inner] -> cancel = true /* remind */
  :: else
  fi
}

proctype worker() {
  bool hit, was;
  bool forever[TASKS];
  if
  :: forever[0] = true
  :: forever[0] = false
  fi;
  if
  :: forever[1] = true
  :: forever[1] = false
  fi;
  start(0);
  start(1);
  go_on(1);
  finish(1);
  go_on(0);
  finish(0);
  start(2);
  go_on(2);
  finish(2);
  assert(!forever[0] || stopped[0]);
  assert(!forever[1] || stopped[1])
}

proctype asker(byte t) {
  bool taken;
  state[t] != PENDING;
  lock();
  atomic {
    taken = state[t] == RUNNING;
    if
    :: taken -> asked[t] = true
    :: else
    fi
  };
  if
  :: taken && runner[t] ->
    assert(!finished[t]);
    cancel = true
  :: else
  fi;
  unlock()
}

init {
  atomic {
    run worker();
    run asker(0);
    run asker(0);
    run asker(1);
    run asker(1)
  }
}
