/*
 * core/queue.c: put, get and shutdown of a FIFO between its two gates.  Each
 * end has a lock, a count of what passed, and an old look at the other's.
 * Checked: when nothing moves any more no getter sleeps beside a message and no
 * putter beside room; after a shutdown nobody sleeps, and once a getter was told
 * of it nothing is inside and nothing comes; never more inside than 'capacity'.
 *
 * The gates are those of gate.pml without what that one has shown: a wait is
 * registered, asked and queued in one step, and so is a notify that wakes.
 * The steps inside a lock that nobody else can see are one.
 *
 * Tried, and found: a getter that tells 'more' from its old look at 'put'
 * (which is how it once was); one that does not tell at all; a putter that
 * does not; puts and gets that do not notify the other end; a shutdown that
 * wakes only getters; closing without either lock; putting without the lock.
 */

#define GETTERS 3

byte capacity;            /* 0: unbounded */
byte put = 0, got = 0;
byte put_seen = 0, got_seen = 0;
bool closed = false;
bool drained = false;     /* a getter was told so */
byte gets = 0, puts = 0;  /* by the threads' own count */
bool head = false, tail = false; /* the locks */

/* Gates: of items and of space. */
#define ITEMS 0
#define SPACE 1
byte spinners[2];
chan items = [GETTERS] of { byte };
chan space = [2] of { byte };
bool told[GETTERS + 2];

#define HAS_ITEM (put != got || closed)
#define HAS_ROOM (put - got < capacity || closed)

inline notify(g, sleeping) {
  atomic {
    if
    :: len(sleeping) != 0 && spinners[g] == 0 ->
      sleeping?p; told[p] = true; p = 0
    :: else
    fi
  }
}

inline notify_all(sleeping) {
  atomic {
    do
    :: sleeping?p -> told[p] = true
    :: empty(sleeping) -> break
    od;
    p = 0
  }
}

proctype putter(byte me, n; bool patient) {
  byte p;
  bool more;
  do
  :: n == 0 -> break
  :: n > 0 ->
    /* try_push */
    atomic { !tail -> tail = true };
    if
    :: closed -> tail = false; break
    :: else
    fi;
    atomic {
      if
      :: capacity != 0 && put - got_seen >= capacity -> got_seen = got
      :: else
      fi;
      if
      :: capacity != 0 && put - got_seen >= capacity -> tail = false; goto wait
      :: else
      fi
    };
    atomic { assert(!drained); put++; puts++ };
    assert(capacity == 0 || put - got <= capacity);
    atomic {
      more = capacity != 0 && HAS_ROOM;
      tail = false
    };
    notify(ITEMS, items);
    if
    :: more -> notify(SPACE, space)
    :: else
    fi;
    more = false;
    n--;
    goto next;
wait:
    if
    :: HAS_ROOM -> goto next
    :: else -> spinners[SPACE]++
    fi;
    if
    :: HAS_ROOM -> spinners[SPACE]--; goto next
    :: spinners[SPACE]--
    fi;
    atomic {
      if
      :: HAS_ROOM -> goto next
      :: else -> space!me
      fi
    };
endput:
    atomic {
      if
      :: told[me] -> told[me] = false
      :: !patient && !told[me] -> space??eval(me); n = 0
      fi
    };
next:
    skip
  od
}

proctype getter(byte me, n; bool patient) {
  byte p;
  do
  :: n == 0 -> break
  :: n > 0 ->
    /* try_pop */
    atomic { !head -> head = true };
    atomic {
      if
      :: got == put_seen -> put_seen = put
      :: else
      fi
    };
    if
    :: got == put_seen && closed -> assert(put == got); drained = true; head = false; break
    :: got == put_seen && !closed -> head = false; goto wait
    :: else
    fi;
    atomic { got++; gets++ };
    head = false;
    if
    :: capacity != 0 -> notify(SPACE, space)
    :: else
    fi;
    if
    :: len(items) != 0 ->
      if
      :: HAS_ITEM -> notify(ITEMS, items)
      :: else
      fi
    :: else
    fi;
    n--;
    goto next;
wait:
    if
    :: HAS_ITEM -> goto next
    :: else -> spinners[ITEMS]++
    fi;
    if
    :: HAS_ITEM -> spinners[ITEMS]--; goto next
    :: spinners[ITEMS]--
    fi;
    atomic {
      if
      :: HAS_ITEM -> goto next
      :: else -> items!me
      fi
    };
endget:
    atomic {
      if
      :: told[me] -> told[me] = false
      :: !patient && !told[me] -> items??eval(me); n = 0
      fi
    };
next:
    skip
  od
}

proctype closer() {
  byte p;
  atomic { !tail -> tail = true };
  atomic { !head -> head = true };
  closed = true;
  head = false;
  tail = false;
  notify_all(items);
  notify_all(space)
}

proctype monitor() {
  timeout;
  assert(put == got || empty(items));
  assert(put - got == capacity || empty(space));
  assert(!closed || (empty(items) && empty(space)));
  assert(gets == got && puts == put && got <= put);
  assert(!head && !tail)
}

init {
  atomic {
    if
    :: capacity = 0
    :: capacity = 1
    :: capacity = 2; put = 2; puts = 2 /* full */
    fi;
    if
    :: run getter(0, 1, true); run getter(1, 1, true); run getter(2, 1, false);
       run putter(GETTERS, 3, true)
    :: run getter(0, 2, true); run getter(1, 1, true);
       run putter(GETTERS, 2, true); run putter(GETTERS + 1, 1, false)
    :: run getter(0, 2, true);
       run putter(GETTERS, 1, true); run putter(GETTERS + 1, 1, true)
    :: run getter(0, 2, true);
       run putter(GETTERS, 1, true); run putter(GETTERS + 1, 1, true);
       run closer()
    :: run getter(0, 1, true); run getter(1, 2, true);
       run putter(GETTERS, 1, true);
       run closer()
    fi;
    run monitor()
  }
}
