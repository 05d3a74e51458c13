/* mutants: 7 */
/*
 * ipc/sgate.c and bell.c, and what stands on them: permits of a semaphore (or
 * items of a ring), and an event that opens the gate for all.  Two takers of
 * different processes wait for a permit, one of them perhaps not for ever, or by
 * a select, with the bell.  Releasers add permits and notify, one of them may
 * open.  Any of them may die before each of its steps, DEATHS of them or fewer.
 *
 * Checked: when nothing moves any more nobody who lives sleeps beside a permit,
 * or before an open gate; no permit is taken twice, or lost but with a dead
 * taker.  The look that a sleeper takes by himself after a slice counts only
 * after a death, and so often: one death costs one look, and if it is the death
 * of who was to wake all, or had to wake again, one of each.
 *
 * A wake and the comparison before a sleep are one step each: a futex.
 *
 * Mutants, all found: (1) notify before the permit is there; (2) a wake that
 * does not change the count; (3) SLEEPERS goes when one of several is woken;
 * (4) no second wake after it has gone; (5) asking the predicate before
 * announcing; (6) WATCHED before the bit in 'watchers'; (7) asking before
 * watching.  Without consequence: SLEEPERS that goes though the word has changed
 * (the second wake is for them, too); a taker that gives up and passes nothing on
 * (a wake changes the word, and who sees that does not give up).
 */

#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define TAKERS 2
#define RELEASERS 2
#define PERMITS RELEASERS

#define SLEEPERS 1
#define WATCHED 2
#define STEP 4

byte value = 0;
bool open = false;
byte seq = 0, bell = 0;
bool watchers = false;
bool asleep[TAKERS], listens = false;

byte mortal = 0, deaths = 0, looks = 0, may_look = 0;
byte added = 0, taken = 0;

#define READY (value > 0 || open)
/* Nothing moves, and a sleeper looks by himself. */
#define STALLED (timeout && READY && looks < may_look)

/* Here it may die. */
#define STEP_OF(n)                                                             \
  if                                                                           \
  :: atomic { deaths < mortal -> deaths++; may_look = may_look + n; goto gone } \
  :: true                                                                      \
  fi

inline wake_futex(everybody, found) {
  atomic {
    found = true;
    if
    :: everybody ->
      found = asleep[0] || asleep[1];
      asleep[0] = false;
      asleep[1] = false
    :: !everybody && asleep[0] -> asleep[0] = false
    :: !everybody && asleep[1] -> asleep[1] = false
    :: !everybody && !asleep[0] && !asleep[1] -> found = false
    fi
  }
}

/* conc_sgate_notify, conc_sgate_notify_all */
inline notify(everybody) {
  atomic { v = seq; found = false };
  if
  :: (v & (SLEEPERS | WATCHED)) != 0 ->
    STEP_OF((everybody -> TAKERS + 1 : 1));
    atomic {
      v = seq;
      to = (v + (MUTANT == 2 -> 0 : STEP)) & ~WATCHED;
      to = (everybody || MUTANT == 3 -> to & ~SLEEPERS : to);
      seq = to
    };
    STEP_OF((everybody -> TAKERS + 1 : 1));
    if
    :: (v & SLEEPERS) != 0 ->
      wake_futex(everybody, found);
      STEP_OF((everybody -> TAKERS + 1 : 1));
      if
      :: !found && !everybody ->
        /* clear */
        atomic {
          if
          :: seq == to ->
            seq = seq & ~SLEEPERS;
            found = MUTANT != 4
          :: else
          fi
        };
        STEP_OF(TAKERS);
        if
        :: found -> wake_futex(true, found)
        :: else
        fi
      :: else
      fi
    :: else
    fi;
    if
    :: (v & WATCHED) != 0 ->
      /* ring */
      atomic { found = watchers; watchers = false };
      STEP_OF((everybody -> TAKERS + 1 : 1));
      if
      :: found -> bell++
      :: else
      fi
    :: else
    fi
  :: else
  fi;
  atomic { v = 0; to = 0; found = false }
}

proctype taker(byte me; bool patient) {
  byte v, to, seen;
  bool found;
again:
  STEP_OF(1);
  atomic { /* conc_ssemaphore_try */
    if
    :: value > 0 -> value--; taken++; goto gone
    :: value == 0 && open -> goto gone
    :: else
    fi
  };
wait:
  STEP_OF(1);
  /* conc_sgate_await */
  if
  :: MUTANT != 5 -> atomic { seq = seq | SLEEPERS; seen = seq }
  :: else
  fi;
  STEP_OF(1);
  if
  :: READY -> goto again
  :: else
  fi;
  if
  :: MUTANT == 5 -> atomic { seq = seq | SLEEPERS; seen = seq }
  :: else
  fi;
  STEP_OF(1);
  atomic { if :: seq == seen -> asleep[me] = true :: else fi; seen = 0 };
endsleep:
  if
  :: !asleep[me]
  :: atomic {
      asleep[me] && STALLED ->
      asleep[me] = false;
      looks++
    }
  :: atomic { asleep[me] && !patient -> asleep[me] = false; goto leave }
  :: atomic {
      asleep[me] && deaths < mortal ->
      asleep[me] = false;
      deaths++;
      may_look++;
      goto gone
    }
  fi;
  if
  :: READY -> goto again
  :: !READY && !patient -> goto leave /* it was woken, and cancelled since */
  :: else -> goto wait
  fi;
leave:
  STEP_OF(1);
  if
  :: READY -> notify(false)
  :: else
  fi;
gone:
  atomic { v = 0; seen = 0 }
}

/* conc_select with conc_bell_watch */
proctype selector() {
  byte seen;
again:
  STEP_OF(1);
  seen = bell;
  STEP_OF(1);
  if
  :: MUTANT == 7 && READY -> goto take
  :: else
  fi;
  if
  :: MUTANT != 6 -> watchers = true
  :: else -> seq = seq | WATCHED
  fi;
  STEP_OF(1);
  if
  :: MUTANT != 6 -> seq = seq | WATCHED
  :: else -> watchers = true
  fi;
  STEP_OF(1);
  if
  :: MUTANT != 7 && READY -> goto take
  :: else
  fi;
  listens = true;
endlisten:
  if
  :: bell != seen
  :: atomic { STALLED -> looks++ }
  fi;
  listens = false;
  goto again;
take:
  STEP_OF(1);
  atomic {
    if
    :: value > 0 -> value--; taken++
    :: value == 0 && open
    :: else -> goto again
    fi
  };
gone:
  atomic { listens = false; seen = 0 }
}

proctype releaser(bool opens) {
  byte v, to;
  bool found;
  STEP_OF(0);
  if
  :: MUTANT == 1 -> notify(opens)
  :: else
  fi;
  if
  :: opens -> open = true
  :: else -> atomic { value++; added++ }
  fi;
  STEP_OF((opens -> TAKERS + 1 : 1));
  if
  :: MUTANT != 1 -> notify(opens)
  :: else
  fi;
gone:
  v = 0
}

proctype monitor() {
  timeout && !(READY && looks < may_look && (asleep[0] || asleep[1] || listens));
  assert(!READY || !(asleep[0] || asleep[1] || listens));
  assert(added == value + taken)
}

init {
  byte i;
  bool opens;
  atomic {
    run taker(0, true);
    if
    :: run taker(1, true)
    :: run taker(1, false)
    :: run selector()
    fi;
    if
    :: opens = true
    :: opens = false
    fi;
    select(mortal : 0 .. DEATHS);
    for (i : 1 .. RELEASERS) { run releaser(opens && i == 1) }
    run monitor()
  }
}
