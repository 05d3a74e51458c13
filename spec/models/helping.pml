/*
 * A worker that waits for a future and for tasks of its pool at once
 * (sleep_on_both in lua/await.c), beside a worker that only waits for tasks
 * (wait/gate.c), while others add tasks and end the future.
 *
 * Checked: the one that waits for the future goes on when that is done; and no
 * task is left while the other worker sleeps: the first one takes none any more
 * when its future is done.  Nobody is counted as asleep who is not.
 *
 * The lot's operations are one step each (lot.pml).
 *
 * Tried, and found: no notify at the end of the wait; asking the pool before
 * entering the gate; leaving the gate as if always, or never, chosen.
 */

#define ADDERS 2
#define GATE 1
#define FUTURE 2

byte count = 0;    /* tasks that are queued */
byte sleepers = 0;
byte spinners = 0;
byte seq = 0;
bool done = false; /* the future */
bool waited = false;
bool helps = false;     /* the first worker is queued in the lot, on both */
byte helper_told = 0;   /* by what it was woken */
bool idles = false;     /* the second one is, on the gate */
bool idler_told = false;
byte run_ = 0;

/* conc_wake(&g->seq, 1) and the waker's part of 'sleepers' */
inline wake_one() {
  atomic {
    woken = true;
    if
    :: helps -> helps = false; helper_told = GATE
    :: idles -> idles = false; idler_told = true
    :: !helps && !idles -> woken = false
    fi
  };
  if
  :: woken -> atomic { assert(sleepers > 0); sleepers-- }
  :: else
  fi
}

inline notify() {
  if
  :: sleepers != 0 ->
    if
    :: spinners == 0 -> seq++; wake_one()
    :: else
    fi
  :: else
  fi
}

inline take(got) {
  atomic {
    got = count > 0;
    if
    :: got -> count--; run_++
    :: else
    fi
  };
  if
  :: got && sleepers != 0 && count > 0 -> notify()
  :: else
  fi
}

proctype helper() {
  byte expected, by;
  bool got, woken;
  do
  :: done ->
    if
    :: count > 0 -> notify()
    :: else
    fi;
    break
  :: else ->
    take(got);
    if
    :: got -> goto again
    :: else
    fi;
    atomic { /* conc_future_prepare */
      if
      :: done -> goto again
      :: else -> waited = true
      fi
    };
    sleepers++;
    expected = seq;
    by = 0;
    if
    :: count == 0 ->
      atomic { /* conc_wait_any */
        if
        :: !done && seq == expected -> helps = true
        :: else -> goto awake
        fi
      };
      atomic { helper_told != 0 -> by = helper_told; helper_told = 0 }
    :: else
    fi;
awake:
    if
    :: by != GATE -> sleepers--
    :: else
    fi;
again:
    skip
  od
}

/* conc_pool_take with conc_gate_await, for ever */
proctype idler() {
  byte expected;
  bool got, told, woken;
  do
  :: take(got);
    if
    :: got -> goto again
    :: else
    fi;
    if /* it may spin, and stop at any moment */
    :: spinners++;
      if
      :: count > 0
      :: true
      fi;
      spinners--;
      if
      :: count > 0 -> goto again
      :: else
      fi
    :: true
    fi;
    sleepers++;
    expected = seq;
    told = false;
    if
    :: count == 0 ->
      atomic {
        if
        :: seq == expected -> idles = true
        :: else -> goto awake
        fi
      };
end:  atomic { idler_told -> idler_told = false; told = true }
    :: else
    fi;
awake:
    if
    :: !told -> sleepers--
    :: else
    fi;
again:
    skip
  od
}

proctype adder() {
  bool woken;
  count++;
  notify()
}

proctype ender() {
  atomic { done = true };
  if
  :: waited ->
    atomic {
      if
      :: helps -> helps = false; helper_told = FUTURE
      :: else
      fi
    }
  :: else
  fi
}

init {
  byte i;
  atomic {
    run helper();
    run idler();
    run ender();
    for (i : 1 .. ADDERS) { run adder() }
  };
  timeout;
  assert(count == 0);
  assert(run_ == ADDERS);
  assert(helps == false);
  assert(sleepers == 1) /* the idler */
}
