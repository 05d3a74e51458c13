/*
 * core/select.c over two gates (wait/gate.c): selectors wait for an item of
 * either, some of them for a limited time; a plain taker waits at the first
 * gate.  Adders add one item each and notify.  Checked: when nothing moves any
 * more nobody sleeps beside an item that it could take; no item was taken
 * twice or without being there; 'sleepers' is the number of those queued.
 *
 * The lot's operations are one step each (lot.pml), but for the queueing on
 * two words, between which a waker may come.
 *
 * Tried, and found: no decline; not leaving the gate that was not chosen;
 * leaving the one that was; no second try after announcing; a taker that does
 * not notify for the rest; giving up before all are queued, but not claiming
 * that; notify that changes 'seq' after the wake.
 */

#define SELECTORS 2
#define PLAIN SELECTORS /* who the plain taker is */
#define NONE 2

byte items[2], seq[2], sleepers[2], spinners[2];
byte added = 0, taken = 0;

chan q0 = [3] of { byte };
chan q1 = [3] of { byte };
byte claim[SELECTORS + 1]; /* 0; gate + 1: chosen by that; GONE */
#define GONE 9

/* conc_wake(&seq[g], 1): skips those whose wait is over */
inline wake(g) {
  atomic {
    some = false;
    do
    :: some || (g == 0 && empty(q0)) || (g == 1 && empty(q1)) -> break
    :: !some && g == 0 && nempty(q0) ->
      q0?p;
      if
      :: claim[p] == 0 -> claim[p] = 1; some = true
      :: else
      fi
    :: !some && g == 1 && nempty(q1) ->
      q1?p;
      if
      :: claim[p] == 0 -> claim[p] = 2; some = true
      :: else
      fi
    od;
    p = 0
  }
}

inline notify(g) {
  if
  :: sleepers[g] != 0 ->
    if
    :: spinners[g] == 0 ->
      seq[g]++;
      wake(g);
      atomic {
        if
        :: some -> sleepers[g]--; some = false
        :: else
        fi
      }
    :: else
    fi
  :: else
  fi
}

/* try_pop: take one if there is one, and notify for the rest */
inline pop(g, done) {
  atomic {
    if
    :: items[g] > 0 -> items[g]--; taken++; done = true
    :: else -> done = false
    fi
  };
  if
  :: done && items[g] > 0 -> notify(g)
  :: else
  fi
}

inline dequeue(g) {
  atomic {
    if
    :: g == 0 && q0??[eval(me)] -> q0??eval(me)
    :: g == 1 && q1??[eval(me)] -> q1??eval(me)
    :: else
    fi
  }
}

/* Queue on gate g if its word is as it was; otherwise end the wait. */
inline enqueue(g, seen) {
  atomic {
    if
    :: seq[g] == seen && g == 0 -> q0!me
    :: seq[g] == seen && g == 1 -> q1!me
    :: else ->
      awake = true;
      if
      :: claim[me] == 0 -> claim[me] = GONE
      :: else
      fi
    fi
  }
}

proctype selector(byte me; bool patient) {
  byte took = NONE, chosen = NONE, p, seen0, seen1;
  bool some, done, late, awake;

again: /* take_one: any that is ready, the other one if that fails */
  if
  :: items[0] > 0 ->
    pop(0, done);
    if
    :: done -> took = 0; goto end
    :: else
    fi
  :: items[1] > 0 ->
    pop(1, done);
    if
    :: done -> took = 1; goto end
    :: else
    fi
  :: items[0] == 0 && items[1] == 0
  fi;
  if
  :: late -> goto end
  :: else
  fi;

  /* doze: enter both */
  sleepers[0]++;
  seen0 = seq[0];
  pop(0, done);
  if
  :: done -> sleepers[0]--; took = 0; goto end
  :: else
  fi;
  sleepers[1]++;
  seen1 = seq[1];
  pop(1, done);
  if
  :: done -> sleepers[1]--; chosen = NONE; sleepers[0]--; took = 1; goto end
  :: else
  fi;

  /* conc_wait_any */
  atomic { claim[me] = 0; awake = false; chosen = NONE };
  enqueue(0, seen0);
  if
  :: !awake -> enqueue(1, seen1)
  :: else
  fi;
  atomic { seen0 = 0; seen1 = 0 };
  if
  :: !awake ->
endsleep:
    atomic {
      if
      :: claim[me] != 0
      :: !patient && claim[me] == 0 -> claim[me] = GONE; late = true
      fi
    }
  :: else
  fi;
  atomic {
    if
    :: claim[me] != GONE -> chosen = claim[me] - 1
    :: else
    fi;
    claim[me] = GONE
  };
  if
  :: chosen != 0 -> dequeue(0)
  :: else
  fi;
  if
  :: chosen != 1 -> dequeue(1)
  :: else
  fi;

  /* leave */
  if
  :: chosen != 0 -> sleepers[0]--
  :: else
  fi;
  if
  :: chosen != 1 -> sleepers[1]--
  :: else
  fi;
  goto again;

end: /* decline */
  if
  :: chosen != NONE && chosen != took ->
    if
    :: items[chosen] > 0 -> notify(chosen)
    :: else
    fi
  :: else
  fi
}

/* conc_queue_pop and conc_gate_await at gate 0 */
proctype plain() {
  byte me = PLAIN, p, seen;
  bool some, done, awake;
again:
  pop(0, done);
  if
  :: done -> goto end
  :: else
  fi;
  spinners[0]++;
  done = items[0] > 0;
  spinners[0]--;
  if
  :: done -> goto again
  :: else
  fi;
register:
  sleepers[0]++;
  seen = seq[0];
  if
  :: items[0] > 0 -> sleepers[0]--; goto again
  :: else
  fi;
  atomic { claim[me] = 0; awake = false };
  enqueue(0, seen);
  seen = 0;
  if
  :: !awake ->
endsleep:
    claim[me] != 0
  :: else -> sleepers[0]--
  fi;
  claim[me] = GONE;
  if
  :: items[0] > 0 -> goto again
  :: else -> goto register
  fi;
end:
  skip
}

proctype adder(byte g) {
  byte p;
  bool some;
  atomic { items[g]++; added++ };
  notify(g)
}

proctype monitor() {
  timeout;
  assert(items[0] == 0 || empty(q0));
  assert(items[1] == 0 || empty(q1));
  assert(sleepers[0] == len(q0) && sleepers[1] == len(q1));
  assert(taken + items[0] + items[1] == added)
}

/*
 * Two selectors, or one and a plain taker; items for both gates, or for the
 * first alone.
 */
init {
  atomic {
    claim[0] = GONE;
    claim[1] = GONE;
    claim[2] = GONE;
    if
    :: run selector(0, true); run selector(1, false)
    :: run selector(0, true); run plain()
    :: run selector(0, false); run plain()
    fi;
    run adder(0);
    if
    :: run adder(0)
    :: run adder(1)
    :: run adder(0); run adder(1)
    fi;
    run monitor()
  }
}
