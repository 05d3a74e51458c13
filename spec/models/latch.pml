/*
 * core/latch.c: threads take a latch by turns, some of them with a deadline, or
 * in a select that takes something else although a wake has chosen it.
 * Checked: one holder at a time; nobody who waits for ever is left asleep
 * (spin reports it as an invalid end state); at the end the latch is free.
 *
 * A wake, and the comparison before a sleep, are one step each: lot.c sees to
 * that with the lock of the bucket.  Starving is a matter of chance here.
 */

#define THREADS 3
#define ROUNDS 2

#define FREE 0
#define HELD 1
#define AWAITED 2
#define STARVED 3
#define PASSED 4

byte word = FREE;
byte holders = 0;
byte running = THREADS;

chan queue = [THREADS] of { byte }; /* asleep, oldest first */
bool told[THREADS];                 /* chosen by a wake */

/* conc_wake(&word, 1) */
inline wake(found) {
  atomic {
    if
    :: queue?p -> told[p] = true; found = true; p = 0
    :: empty(queue) -> found = false
    fi
  }
}

inline cas(old, new, done) {
  atomic {
    if
    :: word == old -> word = new; done = true
    :: else -> done = false
    fi
  }
}

proctype thread(byte me; bool patient) {
  byte round = 0, v, to, note, p;
  bool chosen, open, done;

  do
  :: round == ROUNDS -> break
  :: else ->
    round++;
    chosen = false;

    /* conc_latch_try, take_new */
    cas(FREE, HELD, done);
    if
    :: done -> goto holding
    :: else
    fi;

again: /* take_or_mark; take_chosen is the same without marking */
    atomic {
      if
      :: note = AWAITED
      :: note = STARVED
      fi;
      v = word
    };
mark:
    atomic {
      open = v == FREE || (v == PASSED && chosen);
      if
      :: open -> to = AWAITED
      :: !open && note > v -> to = note
      :: else -> to = v
      fi;
      if
      :: to == v || word == v -> word = (to == v -> word : to)
      :: else -> v = word; goto mark
      fi
    };
    if
    :: open -> goto holding
    :: else
    fi;

    /* sleep_on */
    atomic {
      chosen = false; v = 0; note = 0;
      if
      :: word == to -> queue!me; to = 0
      :: else -> to = 0; goto again
      fi
    };
    atomic {
      if
      :: told[me] -> told[me] = false; chosen = true
      :: !patient && !told[me] -> queue??eval(me); goto next
      fi
    }
    if
    :: goto again
    :: !patient && chosen -> goto decline
    fi;

decline: /* conc_latch_decline: a select has taken something else */
    v = word;
    do
    :: v == FREE || v == PASSED ->
      cas(v, AWAITED, done);
      if
      :: done -> goto holding
      :: else -> v = word
      fi
    :: v == HELD ->
      cas(HELD, AWAITED, done);
      if
      :: done -> goto next
      :: else -> v = word
      fi
    :: else -> goto next
    od;

holding:
    to = 0; note = 0;
    holders++;
    assert(holders == 1);
    holders--;

    /* conc_latch_release, conc_latch_hand_over */
    v = word;
    do
    :: assert(v != FREE && v != PASSED);
      if
      :: v == STARVED -> cas(v, PASSED, done)
      :: else -> cas(v, FREE, done)
      fi;
      if
      :: done -> break
      :: else -> v = word
      fi
    od;
    if
    :: v == AWAITED -> wake(done)
    :: v == STARVED -> /* pass */
      wake(done);
      if
      :: done
      :: else ->
        cas(PASSED, FREE, done);
        if
        :: done -> wake(done)
        :: else
        fi
      fi
    :: else
    fi;
next:
    atomic { v = 0; to = 0; note = 0; chosen = false; open = false; done = false }
  od;
  atomic {
    running--;
    if
    :: running == 0 -> assert(word == FREE)
    :: else
    fi
  }
}

init {
  atomic {
    run thread(0, true);
    run thread(1, true);
    run thread(2, false)
  }
}
