/*
 * wait/parker.c: the thread parker over a futex.  Its owner waits for one
 * thing after another; each has a waker of its own, which may be late (its
 * unpark falls into the owner's next wait) and which spends one unpark.
 * Checked: the owner never sleeps while what it waits for has come.
 *
 * Tried, and found: sleeping without the comparison; a waker that wakes only
 * if it found the word EMPTY; an unpark that leaves NOTIFIED alone and stores
 * PARKED back; parking with a load and a store for the first exchange.
 */

#define THINGS 3

mtype = { EMPTY, PARKED, NOTIFIED };
mtype state = EMPTY;
bool asleep = false;      /* in the futex's queue */
bool came[THINGS];

inline unpark() {
  atomic { was = state; state = NOTIFIED }
  if
  :: was == PARKED -> asleep = false /* conc_sys_wake */
  :: else
  fi
}

inline park() {
  atomic { was = state; state = PARKED }
  if
  :: was == NOTIFIED
  :: else ->
    atomic { /* conc_sys_wait */
      if
      :: state == PARKED -> asleep = true
      :: else
      fi
    }
    if
    :: !asleep
    :: timed -> asleep = false /* a deadline, or no reason at all */
    fi
  fi;
  state = EMPTY
}

/* Waits with a deadline come back early and are begun anew. */
proctype owner(bool timed) {
  byte i = 0;
  mtype was;
  do
  :: i == THINGS -> break
  :: i < THINGS && came[i] -> i++
  :: i < THINGS && !came[i] -> park()
  od
}

proctype waker(byte i) {
  mtype was;
  came[i] = true;
  unpark()
}

init {
  byte i;
  bool timed;
  atomic {
    if
    :: timed = true
    :: timed = false
    fi;
    run owner(timed);
    for (i : 0 .. THINGS - 1) { run waker(i) }
  }
}
