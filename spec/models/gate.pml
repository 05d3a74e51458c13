/*
 * wait/gate.c: takers wait at a gate until there is an item; adders add one
 * and notify, one of them may open the gate for all.  Some takers have a
 * deadline or are cancelled (both are "leave").  Checked: when nothing moves
 * any more nobody sleeps beside an item; 'sleepers' is never less than the
 * number of those queued, and is that number at the end.
 *
 * The lot's operations are one step each (lot.pml).
 *
 * Tried, and found: registering after the predicate is asked; no question after
 * registering; a taker that does not notify for the rest; notify that reads the
 * counters before the item is there; wake_one that does not change 'seq', or
 * changes it after the wake; lowering 'sleepers' though nobody was chosen, or
 * never.  Without consequence: reading 'seq' before registering; leave without
 * its notify (the question after registering has covered for the spinning).
 */

#define TAKERS 2
#define ADDERS 3

byte items = 0;
byte seq = 0, sleepers = 0, spinners = 0;
chan queue = [TAKERS] of { byte };
bool told[TAKERS];

inline wake_one() {
  seq++;
  atomic {
    if
    :: queue?p -> told[p] = true; p = 0; some = true
    :: empty(queue) -> some = false
    fi
  };
  atomic {
    if
    :: some -> sleepers--
    :: else
    fi;
    some = false
  }
}

inline wake_all() {
  seq++;
  atomic {
    n = len(queue);
    do
    :: queue?p -> told[p] = true
    :: empty(queue) -> break
    od;
    p = 0
  };
  atomic { sleepers = sleepers - n; n = 0 }
}

inline notify() {
  if
  :: sleepers != 0 ->
    if
    :: spinners == 0 -> wake_one()
    :: else
    fi
  :: else
  fi
}

mtype = { READY, AGAIN, LEFT };

/* conc_gate_await */
inline await() {
  if
  :: items > 0 -> result = READY; goto told_ready
  :: else
  fi;

  spinners++;
  if
  :: items > 0 -> result = READY /* while it looks */
  :: result = AGAIN
  fi;
  spinners--;
  if
  :: result == READY -> goto told_ready
  :: else
  fi;

register:
  sleepers++;
  seen = seq;
  if
  :: items > 0 -> sleepers--; result = READY; goto told_ready
  :: else
  fi;

  /* conc_wait_any */
  atomic {
    if
    :: seq == seen -> queue!me; result = READY
    :: else -> result = AGAIN
    fi;
    seen = 0
  };
  if
  :: result == READY ->
endsleep:
    atomic {
      if
      :: told[me] -> told[me] = false
      :: !patient && !told[me] -> queue??eval(me); result = LEFT
      fi
    }
  :: else
  fi;

  if
  :: result != READY -> sleepers--
  :: else
  fi;
  if
  :: result == LEFT -> /* leave */
    if
    :: items > 0 -> notify()
    :: else
    fi
  :: items == 0 && result != LEFT -> result = 0; goto register
  :: items > 0 && result != LEFT -> result = READY
  fi;
told_ready:
  skip
}

proctype taker(byte me; bool patient) {
  byte seen, p;
  bool some;
  mtype result;
  do
  :: atomic {
      result = 0;
      if
      :: items > 0 -> items--
      :: else -> goto wait
      fi
    };
    if
    :: items > 0 -> notify()
    :: else
    fi;
    break;
wait:
    await();
    if
    :: result == LEFT -> break
    :: else
    fi
  od
}

proctype adder(bool all) {
  byte p, n;
  bool some;
  items++;
  if
  :: !all -> notify()
  :: all ->
    if
    :: sleepers != 0 -> wake_all()
    :: else
    fi
  fi
}

proctype counts() {
end:
  atomic { sleepers < len(queue) -> assert(false) }
}

proctype monitor() {
  timeout;
  assert(items == 0 || len(queue) == 0);
  assert(sleepers == len(queue) && spinners == 0)
}

init {
  byte i;
  bool all;
  atomic {
    run taker(0, true);
    if
    :: run taker(1, true)
    :: run taker(1, false)
    fi;
    if
    :: all = true
    :: all = false
    fi;
    for (i : 1 .. ADDERS) { run adder(all && i == 1) }
    run counts();
    run monitor()
  }
}
