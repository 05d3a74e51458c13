/* mutants: 10 */
/*
 * ipc/ring*.c and chunk.c: writers put messages, which lie in the ring or are
 * parcels that it holds; readers get them.  Any of them may die between any two
 * steps, DEATHS in all; what a dead one's ledger holds is dropped by its burial.
 *
 * Writers exclude each other by a latch (robust.pml), and so do readers: there
 * is one of each at a time, and when it dies the next one takes its place.
 *
 * A message takes one unit, a chunk has ROOM of them and is used in a circle.  A
 * step of the heap (allocate, free, move a place) is one step here, since
 * whoever takes a latch from the dead finishes it first (txn.h).  Waiting is
 * left out: who finds nothing looks again (gate.pml).
 *
 * Checked: no message is got twice or was never put; of those that a put has
 * told its caller of, all are got or still there, but for one a dead reader;
 * nobody waits for the dead; at the end every parcel and chunk is dropped,
 * once.
 *
 * Mutants: 1 tail before the units are written; 2 head before they are read; 3 no
 * intent; 4 an intent that is cleared before tail; 5 no withdrawal; 6 head before
 * the parcel is moved; 7 a chunk's end after put_at; 8 the end not read again after
 * it; 9 a forward that is not finished; 10 a new block although a dead grower has
 * left one.  Without consequence: a withdrawal of what is in already (its writer
 * has died, and told nobody); put_at before base; an intent left set.
 */
#ifndef MUTANT
#define MUTANT 0
#endif

#ifndef DEATHS
#define DEATHS 2
#endif
#define MOST (DEATHS + 1) /* writers or readers, one after another */
#define ALL (2 * MOST)
#define MESSAGES 3
#define ROOM 1
#define CHUNKS 4

#define INLINE 1
#define PARCEL 2

byte deaths = 0, dead_readers = 0;
bool writers_over = false, readers_over = false;
byte graves[DEATHS + 1], burials = 0; /* who died, in order */

/* The ring.  Chunks are 1 .. CHUNKS - 1; 0 is none. */
byte tail = 0, head = 0, put_at = 0, first = 0, old = 0;
byte intent = 0; /* position + 1 */
byte base[CHUNKS], end[CHUNKS], next[CHUNKS];
byte chunks = 0; /* ever allocated */
byte freed[CHUNKS];
byte kind[CHUNKS * ROOM], body[CHUNKS * ROOM], place[CHUNKS * ROOM];

byte ledger[ALL + 1], lost[ALL + 1]; /* parcels: message + 1 */

byte told[MESSAGES], got[MESSAGES], made[MESSAGES], dropped[MESSAGES];

#define CELL(chunk, pos) ((chunk) * ROOM + (pos) % ROOM)

inline drop(p) {
  atomic {
    if
    :: p != 0 -> dropped[p - 1]++; assert(dropped[p - 1] == 1); p = 0
    :: else
    fi
  }
}

/* Here it may die. */
#define STEP                                                                   \
  if                                                                           \
  :: atomic { deaths < DEATHS -> graves[deaths] = me; deaths++; goto died } \
  :: true                                                                      \
  fi

proctype writers() {
  byte me = 1, m = 0, at = 0, old_put = 0;
  bool parcel = false;
again:
  do
  :: m == MESSAGES -> break
  :: m < MESSAGES ->
    if
    :: parcel = false
    :: parcel = true; atomic { ledger[me] = m + 1; made[m] = 1 }
    fi;
    STEP;
    if
    :: intent != 0 ->
      if
      :: intent > tail && MUTANT != 5 ->
        atomic {
          lost[me] = place[CELL(put_at, intent - 1)];
          place[CELL(put_at, intent - 1)] = 0
        }
      :: else
      fi;
      STEP;
      intent = 0
    :: else
    fi;
    /* reserve */
    atomic {
      at = head;
      if
      :: put_at != 0 && base[put_at] > at -> at = base[put_at]
      :: else
      fi
    };
    if
    :: put_at == 0 || tail - at == ROOM ->
      atomic {
        if
        :: put_at == 0 && first == 0 -> chunks++; first = chunks
        :: put_at != 0 && (next[put_at] == 0 || MUTANT == 10) -> chunks++; next[put_at] = chunks
        :: else
        fi;
        assert(chunks < CHUNKS);
        at = (put_at == 0 -> first : next[put_at])
      };
      STEP;
      base[at] = tail;
      end[at] = tail;
      STEP;
#if MUTANT == 7
      atomic { old_put = put_at; put_at = at };
      STEP;
      if
      :: old_put != 0 -> end[old_put] = tail
      :: else
      fi
#else
      if
      :: put_at != 0 -> end[put_at] = tail
      :: else
      fi;
      STEP;
      put_at = at
#endif
    :: else
    fi;
    STEP;
#if MUTANT == 1
    tail++;
    STEP;
#define OWN (tail - 1)
#else
#define OWN tail
#endif
    kind[CELL(put_at, OWN)] = (parcel -> PARCEL : INLINE);
    STEP;
    if
    :: !parcel -> body[CELL(put_at, OWN)] = m + 1
    :: parcel ->
      place[CELL(put_at, OWN)] = 0;
      STEP;
      intent = (MUTANT == 3 -> 0 : OWN + 1);
      STEP;
      atomic { place[CELL(put_at, OWN)] = ledger[me]; ledger[me] = 0 }
    fi;
    STEP;
#if MUTANT == 4
    intent = 0;
    STEP;
#endif
#if MUTANT != 1
    tail++;
#endif
    STEP;
    if
    :: parcel -> intent = 0
    :: else
    fi;
    STEP;
    drop(lost[me]);
    told[m] = 1;
    m++
  od;
  goto done;
died:
  atomic { me++; m++; parcel = false; at = 0; goto again };
done:
  writers_over = true
}

proctype readers() {
  byte me = MOST + 1, x = 0, early = 0;
again:
  do
  :: atomic { writers_over && head == tail -> break }
  :: head != tail ->
look:
    if
    :: old != 0 && MUTANT != 9 ->
      atomic {
        if
        :: first == 0 && next[old] != 0 -> first = next[old]; next[old] = 0
        :: else
        fi
      };
      STEP;
      atomic { freed[old]++; assert(freed[old] == 1); old = 0 };
      STEP
    :: else
    fi;
    if
    :: head == tail -> x = 0
    :: head != tail ->
      if
      :: end[first] == head ->
        if
        :: first != put_at ->
          if
          :: end[first] == head || MUTANT == 8 ->
            atomic { old = first; first = 0 };
            STEP;
            goto look
          :: else
          fi
        :: else
        fi
      :: else
      fi;
#if MUTANT == 2 || MUTANT == 6
      early = (kind[CELL(first, head)] == INLINE -> MUTANT == 2 : MUTANT == 6);
      head = head + early;
      STEP;
#endif
      if
      :: kind[CELL(first, head - early)] == INLINE -> x = body[CELL(first, head - early)]
      :: kind[CELL(first, head - early)] == PARCEL && place[CELL(first, head - early)] == 0 ->
        x = 0
      :: kind[CELL(first, head - early)] == PARCEL && place[CELL(first, head - early)] != 0 ->
        atomic {
          x = place[CELL(first, head - early)];
          ledger[me] = x;
          place[CELL(first, head - early)] = 0
        }
      fi;
      STEP;
      head = head + 1 - early
    fi;
    STEP;
    if
    :: x != 0 -> atomic { got[x - 1]++; assert(got[x - 1] == 1) }
    :: else
    fi;
    drop(ledger[me])
  od;
  goto done;
died:
  atomic { me++; x = 0; dead_readers++; goto again };
done:
  readers_over = true
}

/* Whoever is dead is buried at some time, and at last the ring is destroyed. */
proctype undertaker() {
  byte i = 0, missing = 0, pos = 0, c = 0;
  do
  :: atomic { burials < deaths -> burials++; i = graves[burials - 1] };
    drop(ledger[i]);
    drop(lost[i])
  :: atomic { writers_over && readers_over && burials == deaths -> break }
  od;
  atomic {
    /* What is in the ring counts as got, unless a dead reader has it. */
    if
    :: old != 0 ->
      if
      :: first == 0 && next[old] != 0 -> first = next[old]; next[old] = 0
      :: else
      fi;
      freed[old]++;
      old = 0
    :: else
    fi;
    if
    :: intent > tail ->
      lost[0] = place[CELL(put_at, intent - 1)];
      place[CELL(put_at, intent - 1)] = 0;
      if
      :: lost[0] != 0 -> dropped[lost[0] - 1]++; lost[0] = 0
      :: else
      fi
    :: else
    fi;
    pos = head;
    c = first;
    do
    :: pos < tail ->
      do
      :: c != put_at && end[c] == pos -> c = next[c]
      :: else -> break
      od;
      if
      :: kind[CELL(c, pos)] == INLINE -> got[body[CELL(c, pos)] - 1]++
      :: kind[CELL(c, pos)] == PARCEL && place[CELL(c, pos)] != 0 ->
        got[place[CELL(c, pos)] - 1]++;
        dropped[place[CELL(c, pos)] - 1]++
      :: else
      fi;
      pos++
    :: else -> break
    od;
    c = first;
    do
    :: c != 0 -> freed[c]++; c = next[c]
    :: else -> break
    od;
    pos = 0;
    do
    :: pos < MESSAGES ->
      assert(got[pos] <= 1);
      assert(dropped[pos] == made[pos]);
      missing = missing + (told[pos] == 1 && got[pos] == 0 -> 1 : 0);
      pos++
    :: else -> break
    od;
    assert(missing <= dead_readers);
    c = 1;
    do
    :: c <= chunks -> assert(freed[c] == 1); c++
    :: else -> break
    od;
    c = 0
  }
}

init {
  atomic {
    run writers();
    run readers();
    run undertaker()
  }
}
