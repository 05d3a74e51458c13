/*
 * core/carrier.c: jobs are given to idle carriers or to new ones, idle
 * carriers leave after a while, and the crew is closed.  The closer waits for
 * all of them, or gives up at its deadline and lets them free themselves.
 * Checked: every job that was admitted runs, once; every carrier is joined or
 * detached, once, and freed once, and nobody touches it afterwards; a closer
 * that waits for ever returns when every carrier has gone, and no job runs
 * after that.
 *
 * Waiting for 'call' and for 'alive' is a guard: that no wake is lost there
 * was shown elsewhere (lot.pml).
 *
 * Tried, and found: freeing a carrier whose maker is still in the call that
 * made its thread (which is how it once was); an idle carrier that leaves by
 * its deadline although somebody took it out of the list; a carrier that was
 * told to leave and stands in 'gone' as well; admitting a job outside the lock
 * in which 'closed' is read, or counting its carrier later (which is how it once
 * was); a closer that does not take the last ones gone;
 * asking whether the crew is abandoned before the lock.
 */

#define CARRIERS 3
#define RUNNERS 2
#define NONE CARRIERS

#define NOTHING 0
#define JOB 1
#define LEAVE 2

bool lock = false;
bool closed = false, abandoned = false;
bool over = false;          /* a closer that had time has returned */
byte alive = 0;
byte idle = 0, gone = 0;    /* the lists: a bit each */
byte call[CARRIERS];
byte job[CARRIERS];         /* jobs given and not yet run */
bool made[CARRIERS];        /* its maker is through */
bool ended[CARRIERS];       /* its thread has returned */
byte freed[CARRIERS], joined[CARRIERS];
byte next = 0;              /* carriers begun */
byte admitted = 0, ran = 0;

#define take_lock() atomic { !lock -> lock = true }
#define touch(c) assert(freed[c] == 0)

inline free(c) {
  d_step {
    assert(made[c]);
    freed[c]++;
    assert(freed[c] == 1)
  }
}

inline reap_one(c) {
  atomic { ended[c] -> joined[c]++ };
  free(c)
}

#define BIT(c) (1 << c)

/* Join and free the carriers of a list. */
inline reap(mine) {
  for (c : 0 .. CARRIERS - 1) {
    if
    :: mine & BIT(c) -> reap_one(c)
    :: else
    fi
  }
  atomic { mine = 0; c = 0 }
}

proctype carrier(byte me) {
  bool alone, called;
  do
  :: touch(me);
    d_step { assert(job[me] == 1 && !over); job[me] = 0; ran++ };

    /* become_idle */
    take_lock();
    if
    :: closed -> lock = false; break
    :: else -> d_step { call[me] = NOTHING; idle = idle | BIT(me); lock = false }
    fi;

    /* await_call */
    if
    :: call[me] == NOTHING -> /* the deadline */
      take_lock();
      if
      :: idle & BIT(me) -> idle = idle & ~BIT(me); lock = false; break
      :: else -> lock = false
      fi;
      call[me] != NOTHING
    :: call[me] != NOTHING
    fi;
    if
    :: call[me] == LEAVE -> break
    :: else
    fi
  od;

  /* go */
  made[me];
  take_lock();
  d_step {
    touch(me);
    alone = abandoned;
    called = call[me] == LEAVE;
    if
    :: !alone && !called -> gone = gone | BIT(me)
    :: else
    fi;
    alive--
  };
  lock = false;
  if
  :: alone && !called -> joined[me]++; free(me)
  :: else
  fi;
  ended[me] = true
}

proctype runner() {
  byte c, mine, it;
  take_lock();
  if
  :: closed -> lock = false
  :: else ->
    d_step {
      admitted++;
      mine = gone; gone = 0;
      it = NONE;
      if
      :: idle & 1 -> it = 0
      :: idle & 2 -> it = 1
      :: idle & 4 -> it = 2
      :: else -> alive++
      fi;
      if
      :: it != NONE -> idle = idle & ~BIT(it)
      :: else
      fi
    };
    lock = false;
    reap(mine);
    if
    :: it == NONE ->
      atomic {
        it = next;
        next++;
        job[it] = 1;
        run carrier(it)
      };
      d_step { touch(it); made[it] = true }
    :: else ->
      d_step { touch(it); assert(job[it] == 0); job[it] = 1 };
      call[it] = JOB
    fi
  fi
}

proctype closer() {
  byte c, mine;
  take_lock();
  d_step { closed = true; mine = idle; idle = 0 };
  lock = false;
  for (c : 0 .. CARRIERS - 1) {
    if
    :: mine & BIT(c) -> touch(c); call[c] = LEAVE
    :: else
    fi
  }
  reap(mine);
  if
  :: alive == 0 -> c = 1
  :: skip /* the deadline */
  fi;
  take_lock();
  abandoned = true;
  lock = false;
  take_lock();
  d_step { mine = gone; gone = 0; over = c == 1; c = 0 };
  lock = false;
  reap(mine)
}

proctype monitor() {
  byte c;
  timeout;
  d_step {
    assert(admitted == ran && alive == 0 && !lock);
    for (c : 0 .. CARRIERS - 1) {
      assert(c >= next || (freed[c] == 1 && joined[c] == 1 && ended[c]))
    }
  }
}

init {
  byte i;
  atomic {
    for (i : 1 .. CARRIERS) { run runner() }
    run closer();
    run monitor()
  }
}
