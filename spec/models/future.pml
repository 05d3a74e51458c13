/* pan: -DSAFETY -DCOLLAPSE */
/*
 * core/future.c: one future of an executor.  A worker starts it, perhaps gives
 * it back once (unstart) and starts it again, and finishes it; others cancel
 * it, ask the one that runs it to stop, link something to it (one takes the
 * link back), and wait for it.
 *
 * Checked: it ends once; whoever returns finds the result; nobody is left
 * asleep; a link that was put and not taken back runs exactly once, after the
 * end, and no other one does; who asked in time has had the runner interrupted;
 * the runner is not called when finish has returned.
 *
 * The lot's operations are one step each (lot.pml).  Futures of promises, which
 * are claimed and not started, are not in it.
 *
 * Tried, and found: finishing with a store that looks at the bits before it;
 * starting without keeping the bits, or without looking for an ask after the
 * runner is there; a result stored after the word; a cancellation that neither
 * wakes nor runs links; linking whatever the state, or without the bit; running
 * links that stay in the list; an end that does not pass the asker's lock;
 * giving back what somebody has asked for.
 */

#define PENDING 0
#define RUNNING 1
#define CANCELLED 2
#define FINISHED 3
#define WAITED 4
#define LINKED 8
#define ASKED 16
#define STATE(v) (v & 3)
#define FINAL(v) (STATE(v) >= CANCELLED)

#define WAITERS 1
#define LINKS 2

byte word = PENDING;
bool message = false; /* the result is there */
bool runner = false;  /* the worker's is there */
bool gone = false;    /* finish has returned: the runner's memory may go */
byte calls = 0;       /* of the runner */
byte ends = 0;
bool locked = false; /* the shelf's lock */
bool list[LINKS];    /* [l] in the list */
byte ran[LINKS];
bool expect[LINKS]; /* must run */
chan queue = [WAITERS] of { byte };
bool told[WAITERS];

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline interrupt() {
  atomic {
    assert(!gone);
    calls++
  }
}

/* The list is taken, then called. */
inline run_links() {
  lock();
  atomic {
    mine[0] = list[0]; list[0] = false;
    mine[1] = list[1]; list[1] = false;
    locked = false
  };
  atomic {
    assert(FINAL(word));
    ran[0] = ran[0] + mine[0];
    mine[0] = false
  };
  atomic {
    ran[1] = ran[1] + mine[1];
    mine[1] = false
  }
}

inline ended() {
  if
  :: v & ASKED -> lock(); unlock()
  :: else
  fi;
  if
  :: v & LINKED -> run_links()
  :: else
  fi;
  if
  :: v & WAITED ->
    atomic {
      do
      :: queue?p -> told[p] = true
      :: empty(queue) -> break
      od;
      p = 0
    }
  :: else
  fi
}

proctype worker() {
  byte v, p, returns = 0;
  bool done, mine[LINKS];
start:
  done = false;
  v = word;
  do
  :: STATE(v) != PENDING -> break
  :: else ->
    atomic {
      if
      :: word == v -> word = v | RUNNING; done = true; break
      :: else -> v = word
      fi
    }
  od;
  if
  :: !done -> goto out
  :: else
  fi;
  runner = true;
  if
  :: word & ASKED -> interrupt()
  :: else
  fi;
  if
  :: returns == 0 -> returns++; goto unstart
  :: true
  fi;
finish:
  message = true;
  atomic { v = word; word = FINISHED; ends++; assert(ends == 1) };
  ended();
  gone = true;
  goto out;
unstart:
  v = word;
  do
  :: v & ASKED -> goto finish
  :: else ->
    atomic {
      if
      :: word == v -> word = (v & ~3) | PENDING; break
      :: else -> v = word
      fi
    }
  od;
  runner = false;
  goto start;
out:
  assert(FINAL(word))
}

bool asked = false;

inline cancel() {
  done = false;
  v = word;
  do
  :: STATE(v) != PENDING -> break
  :: else ->
    atomic {
      if
      :: word == v ->
        word = CANCELLED;
        ends++;
        assert(ends == 1);
        done = true;
        break
      :: else -> v = word
      fi
    }
  od;
  if
  :: done -> ended()
  :: else
  fi
}

inline ask() {
  r = false;
  lock();
  v = word;
  do
  :: STATE(v) != RUNNING -> break
  :: else ->
    atomic {
      if
      :: word == v -> word = v | ASKED; asked = true; break
      :: else -> v = word
      fi
    }
  od;
  if
  :: asked -> r = runner
  :: else
  fi;
  if
  :: r -> interrupt()
  :: else
  fi;
  unlock()
}

proctype other() {
  byte v, p;
  bool done, r, mine[LINKS];
  ask();
  cancel()
}

inline link(me) {
  put = false;
  lock();
  v = word;
  do
  :: FINAL(v) -> break
  :: else ->
    atomic {
      if
      :: word == v -> word = v | LINKED; put = true; break
      :: else -> v = word
      fi
    }
  od;
  atomic {
    if
    :: put -> list[me] = true; expect[me] = true
    :: else -> assert(FINAL(word))
    fi;
    v = 0;
    put = false;
    locked = false
  }
}

proctype linker() {
  byte v;
  bool put;
  link(0);
  link(1);
  lock(); /* conc_future_unlink */
  atomic {
    if
    :: list[1] -> list[1] = false; expect[1] = false
    :: else
    fi;
    locked = false
  }
}

proctype waiter(byte me) {
  byte v;
  do
  :: v = word; /* conc_future_prepare */
again:
    if
    :: FINAL(v) -> break
    :: else
    fi;
    atomic {
      if
      :: word == v -> word = v | WAITED; v = v | WAITED
      :: else -> v = word; goto again
      fi
    };
    atomic { /* conc_wait_any */
      if
      :: word == v -> queue!me
      :: else -> goto next
      fi
    };
    atomic { told[me] -> told[me] = false };
next:
    v = 0
  od;
  assert(FINAL(word));
  assert(STATE(word) == CANCELLED || message)
}

init {
  atomic {
    run waiter(0);
    run other();
    run linker();
    run worker()
  };
  _nr_pr == 1;
  assert(ran[0] == expect[0] && ran[1] == expect[1]);
  assert(!asked || calls > 0)
}
