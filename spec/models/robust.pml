/* mutants: 10 */
/*
 * ipc/robust.c: threads of different processes take a latch by turns; some give
 * up, and two may die at any step, one perhaps while it has the other's latch.
 * Checked: one living holder at a time; what a dead one held is told to exactly
 * one of the others; nobody who waits for ever is left asleep (spin reports it
 * as an invalid end state), where the look that a sleeper takes by himself after
 * a slice counts only when somebody has died since his last one: without deaths
 * no wake-up is lost, and one look at the word for each death is enough.
 *
 * A wake and the comparison before a sleep are one step each: a futex.
 *
 * Mutants: 1 nobody looks whether the holder is dead; 2 nobody does after a
 * slice; 3 who takes it from the dead does not compare; 4 ... and does not say
 * that others may sleep; 5 nor does who has slept; 6 a release wakes nobody; 7
 * STARVED stays when nobody was woken; 8 ... or goes, and nobody more is woken; 9
 * who gives up does not mark a latch that is held; 10 nor offer one that is
 * free.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

#define DEATHS 2
#define THREADS 3
#define ROUNDS 2

/* The word: owner + 1 in the low bits, or 0. */
#define OWNER(v) ((v) & 7)
#define AWAITED 8
#define STARVED 16

byte word = 0;
byte holders = 0; /* that live */
byte deaths = 0;
byte owed = 0; /* deaths that held the latch and were not told yet */
bool dead[THREADS];
bool asleep[THREADS];

/* Wake one sleeper, any: a dead one has left the queue. */
inline wake(found) {
  atomic {
    found = true;
    if
    :: asleep[0] -> asleep[0] = false
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
    :: !asleep[0] && !asleep[1] && !asleep[2] -> found = false
    fi
  }
}

/* The end of this process, if it may be. */
inline may_die(holding) {
  if
  :: atomic {
       mortal && deaths < DEATHS ->
       deaths++;
       dead[me] = true;
       if
       :: holding -> holders--; owed++
       :: else
       fi;
       goto gone
     }
  :: true
  fi
}

/* Of the dead, if it is theirs as v says. */
inline take_from_dead() {
#if MUTANT == 3
  if
  :: OWNER(v) != 0 && dead[OWNER(v) - 1] ->
#else
  atomic {
    if
    :: OWNER(v) != 0 && word == v && dead[OWNER(v) - 1] && MUTANT != 1 ->
#endif
       atomic {
         word = (me + 1) | (MUTANT == 4 -> 0 : AWAITED);
         assert(owed == 1);
         owed--;
         holders++;
         goto holding
       }
    :: else
    fi
#if MUTANT != 3
  }
#endif
}

proctype thread(byte me; bool patient; bool mortal) {
  byte round = 0, v, known = 0;
  bool slept, sliced, found;

  do
  :: round == ROUNDS -> break
  :: else ->
    round++;
    slept = false;
    sliced = false;
    known = 0;

    /* conc_robust_try, take_new */
    atomic {
      if
      :: word == 0 -> word = me + 1; holders++; goto holding
      :: true
      fi
    }
slow:
    may_die(false);
    /* take_or_mark; starving is a matter of chance here */
    atomic {
      v = word;
      if
      :: v == 0 || (OWNER(v) == 0 && slept) ->
         word = (me + 1) | (MUTANT == 5 -> 0 : AWAITED);
         holders++;
         goto holding
      :: else ->
         if
         :: word = v | AWAITED
         :: word = v | AWAITED | STARVED
         fi;
         v = word
      fi
    }
    may_die(false);
    if
    :: !slept -> take_from_dead()
    :: else
    fi;
    /* conc_word_sleep */
    atomic {
      if
      :: word == v -> asleep[me] = true
      :: else
      fi
    }
    sliced = false;
    if
    :: !asleep[me]
    :: atomic { deaths > known && asleep[me] ->
         asleep[me] = false; sliced = true;
         known = (word == v -> deaths : known) }
    :: atomic { !patient -> asleep[me] = false; goto leave }
    :: atomic { mortal && deaths < DEATHS ->
         asleep[me] = false; deaths++; dead[me] = true; goto gone }
    fi;
    slept = true;
    if
    :: sliced && MUTANT != 2 -> take_from_dead()
    :: else
    fi;
    goto slow;

leave:
    take_from_dead();
    /* give_up */
    may_die(false);
    atomic {
      v = word;
      if
      :: OWNER(v) != 0 && MUTANT != 9 -> word = v | AWAITED
      :: else
      fi
    }
    may_die(false);
    if
    :: OWNER(v) == 0 && MUTANT != 10 -> goto offer
    :: else
    fi;
    goto next;

holding:
    assert(holders == 1);
    may_die(true);
    /* release */
    atomic {
      v = word;
      assert(OWNER(v) == me + 1);
      word = v & STARVED;
      holders--
    }
    may_die(false);
    if
    :: (v & (AWAITED | STARVED)) == 0 || MUTANT == 6 -> goto next
    :: else
    fi;
offer:
    wake(found);
    may_die(false);
    if
    :: found -> goto next
    :: else
    fi;
    atomic {
      if
      :: OWNER(word) == 0 && (word & STARVED) != 0 && MUTANT != 7 -> word = 0
      :: else -> goto next
      fi
    }
    may_die(false);
    if
    :: MUTANT == 8
    :: else -> wake(found)
    fi;
next:
    may_die(false);
    v = 0
  od;
gone:
  v = 0
}

init {
  atomic {
    run thread(0, true, true);
    run thread(1, true, false);
    run thread(2, false, true)
  }
}
