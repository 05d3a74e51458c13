/*
 * wait/lot.c: waits on one or two words, with deadlines and cancellations.
 * The words are counters of tokens.  Who wants one takes it from a word that
 * has some, and else sleeps while its words are 0; a waker adds a token and
 * wakes one, or all.  Checked:
 *
 *  - when nothing moves any more nobody sleeps beside a token, and nobody
 *    sleeps who was cancelled;
 *  - as many waits returned chosen as wakes counted;
 *  - nobody returns while a waiter of its is queued, and no waker touches the
 *    stack of a thread that has returned.
 *
 * Both words hash to one bucket, or each to its own.  unpark is a note that the
 * next park takes (parker.pml).
 *
 * Tried, and found: comparing the word before the bucket's lock is taken;
 * leaving without the exchange on 'claim'; returning without dequeue, or
 * without dequeueing the words that were not chosen; a waker that stops at the
 * first exchange that fails, or that exchanges before it unlinks; one that
 * wakes before the word has changed; one that forgets unpark; a cancellation
 * without unpark.
 */

#define SLEEPERS 3
#define GONE 9

/* Who waits on what: bit 0 for word 0, bit 1 for word 1. */
#define WANTS(p) (p == 0 -> 3 : 1)
#define BUCKET(w) (apart -> w : 0)

bool apart;                 /* the words' buckets are two */
byte token[2];
bool locked[2];             /* the buckets */
chan queue0 = [4] of { byte, byte, byte }; /* word, sleeper, index */
chan queue1 = [4] of { byte, byte, byte };
byte claim[SLEEPERS];       /* 0, GONE or 1 + word */
bool note[SLEEPERS];        /* the parker has been notified */
bool cancel[SLEEPERS];
bool inside[SLEEPERS];      /* its stack may be touched */
bool asleep[SLEEPERS];      /* in park: for the monitor */
byte queued[SLEEPERS];      /* waiters in the queues */
byte counted = 0, chosen = 0;

inline append(w) {
  if
  :: apart && w == 1 -> queue1!w,me,w
  :: else -> queue0!w,me,w
  fi;
  queued[me]++
}

/* The locks of a single step are not to be seen. */

/* Queue me on word w unless it has changed. */
inline enqueue(w, done) {
  atomic {
    !locked[BUCKET(w)];
    if
    :: token[w] == 0 -> append(w); done = true
    :: else -> done = false
    fi
  }
}

inline dequeue(w) {
  atomic {
    !locked[BUCKET(w)];
    if
    :: apart && w == 1 && queue1??[eval(w),eval(me),eval(w)] ->
       queue1??eval(w),eval(me),eval(w); queued[me]--
    :: !(apart && w == 1) && queue0??[eval(w),eval(me),eval(w)] ->
       queue0??eval(w),eval(me),eval(w); queued[me]--
    :: else
    fi
  }
}

/* Leave by myself, unless a waker was faster. */
inline leave(st) {
  atomic {
    if
    :: claim[me] == 0 -> claim[me] = GONE; result = st
    :: else -> result = CHOSEN
    fi
  }
}

mtype = { CHOSEN, AGAIN, TIMEUP, CANCELLED };

inline sleep_until() {
  do
  :: claim[me] != 0 -> result = CHOSEN; break
  :: claim[me] == 0 ->
    if
    :: cancel[me] -> leave(CANCELLED); break
    :: !cancel[me] && !patient -> leave(TIMEUP); break
    :: !cancel[me] ->
      /* park */
      asleep[me] = true;
endpark:
      atomic { note[me] -> note[me] = false; asleep[me] = false }
    fi
  od
}

/* conc_wait_any on the words of 'want'. */
inline wait_any() {
  d_step { claim[me] = 0; inside[me] = true; result = 0; first = false; second = false };
  if
  :: want & 1 -> enqueue(0, first);
    if
    :: !first -> leave(AGAIN)
    :: else
    fi
  :: else
  fi;
  if
  :: result == 0 && (want & 2) -> enqueue(1, second);
    if
    :: !second -> leave(AGAIN)
    :: else
    fi
  :: else
  fi;
  if
  :: result == 0 -> sleep_until()
  :: else
  fi;
  if
  :: first && !(result == CHOSEN && claim[me] == 1) -> dequeue(0)
  :: else
  fi;
  if
  :: second && !(result == CHOSEN && claim[me] == 2) -> dequeue(1)
  :: else
  fi;
  d_step {
    assert(queued[me] == 0);
    inside[me] = false;
    chosen = chosen + (result == CHOSEN -> 1 : 0);
    first = false; second = false
  }
}

inline take(w) {
  atomic {
    if
    :: (want & (1 << w)) && token[w] > 0 -> token[w]--; got = true
    :: else
    fi
  }
}

/* Patient ones wait for ever, but for cancellation. */
proctype sleeper(byte me; bool patient) {
  byte want = WANTS(me);
  bool first, second, got;
  mtype result;
  do
  :: take(0);
    if
    :: !got -> take(1)
    :: else
    fi;
    if
    :: got -> break
    :: else
    fi;
    wait_any();
    if
    :: result == TIMEUP || result == CANCELLED -> break
    :: else
    fi
  od
}

proctype waker(byte w, n) {
  byte p, k = n, found;
  token[w]++;

  /* conc_wake(w, n): who is chosen is a bit of 'found' until it is told */
  atomic { !locked[BUCKET(w)] -> locked[BUCKET(w)] = true };
  do
  :: k > 0 ->
    atomic { /* unlink the oldest waiter on w */
      if
      :: apart && w == 1 && queue1??[eval(w),_,_] -> queue1??eval(w),p,_
      :: !(apart && w == 1) && queue0??[eval(w),_,_] -> queue0??eval(w),p,_
      :: else -> break
      fi;
      assert(inside[p]);
      queued[p]--
    };
    atomic {
      assert(inside[p]);
      if
      :: claim[p] == 0 -> claim[p] = 1 + w; found = found | (1 << p); k--
      :: else
      fi;
      p = 0
    }
  :: k == 0 -> break
  od;
  atomic { locked[BUCKET(w)] = false; k = 0 };
  do
  :: found != 0 ->
    atomic {
      do
      :: found & (1 << p) -> break
      :: else -> p++
      od;
      note[p] = true;
      counted++;
      found = found & ~(1 << p);
      p = 0
    }
  :: else -> break
  od
}

proctype canceller(byte p) {
  cancel[p] = true;
  note[p] = true
}

proctype monitor() {
  byte p;
  timeout;
  d_step {
    assert(!locked[0] && !locked[1]);
    assert(counted == chosen);
    for (p : 0 .. SLEEPERS - 1) {
      if
      :: asleep[p] ->
        assert(!cancel[p]);
        assert(!((WANTS(p) & 1) && token[0] > 0));
        assert(!((WANTS(p) & 2) && token[1] > 0));
        assert(claim[p] == 0)
      :: else -> assert(queued[p] == 0)
      fi
    }
  }
}

init {
  byte n;
  atomic {
    if
    :: apart = true
    :: apart = false
    fi;
    if
    :: n = 1
    :: n = 2
    fi;
    if
    :: run sleeper(0, true); run waker(1, 1); run canceller(0)
    :: run sleeper(0, false); run waker(1, 1); run canceller(1)
    :: run sleeper(2, true)
    :: run sleeper(2, true); run canceller(2)
    fi;
    run sleeper(1, false);
    run waker(0, n);
    run monitor()
  }
}
