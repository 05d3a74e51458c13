/*
 * core/future.c: one future that a worker starts and finishes, that others
 * cancel, and that waiters wait for, some with a deadline.  Checked: it ends
 * once, run or cancelled; whoever returns finds the result; nobody is left
 * asleep when it has ended.
 *
 * The lot's operations are one step each (lot.pml).
 *
 * Tried, and found: finishing with a store that wakes only if the bit was seen
 * before it; starting or cancelling without keeping the bit; sleeping on the
 * word as it was before the bit was set; a result stored after the word; a
 * cancellation that does not wake; waking one.
 */

#define PENDING 0
#define RUNNING 1
#define CANCELLED 2
#define FINISHED 3
#define WAITED 8
#define STATE(v) (v & 7)

#define WAITERS 3

byte word = PENDING;
bool result = false;
byte ends = 0;
chan queue = [WAITERS] of { byte };
bool told[WAITERS];

inline change(from, to, done) {
  v = word;
  do
  :: STATE(v) != from -> done = false; break
  :: else ->
    atomic {
      if
      :: word == v -> word = (v & WAITED) | to; done = true; break
      :: else -> v = word
      fi
    }
  od
}

inline end_it(state) {
  atomic { v = word; word = state };
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
  byte v, p;
  bool done;
  change(PENDING, RUNNING, done);
  if
  :: done ->
    result = true;
    ends++;
    assert(ends == 1);
    end_it(FINISHED)
  :: else -> assert(STATE(word) == CANCELLED)
  fi
}

proctype canceller() {
  byte v, p;
  bool done;
  change(PENDING, CANCELLED, done);
  if
  :: done -> ends++; assert(ends == 1); end_it(CANCELLED)
  :: else
  fi
}

proctype waiter(byte me; bool patient) {
  byte v;
  bool left = false;
  do
  :: v = word; /* conc_future_prepare */
again:
    if
    :: STATE(v) >= CANCELLED -> break
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
    atomic {
      if
      :: told[me] -> told[me] = false
      :: !patient && !told[me] -> queue??eval(me); left = true
      fi
    };
    if
    :: left -> break
    :: else
    fi;
next:
    v = 0
  od;
  if
  :: !left ->
    assert(STATE(word) >= CANCELLED);
    assert(STATE(word) == CANCELLED || result)
  :: else
  fi
}

init {
  atomic {
    run waiter(0, true);
    run waiter(1, true);
    run waiter(2, false);
    run canceller();
    run canceller();
    run worker()
  }
}
