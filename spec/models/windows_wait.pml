/* pan: -DSAFETY -DCOLLAPSE */
/*
 * c/sys/windows_wait.c: threads of different processes wait for a word to change
 * twice, in beds of one bucket that has fewer beds than there are threads.  One
 * has time-outs, and one may die at any step.  Checked: nobody who waits for ever
 * is left asleep (spin reports it as an invalid end state); the count of
 * sleepers is never less than the living ones that it tells of; no bed has two
 * of them.
 *
 * Other words share the bucket: a thread waits for one that is never woken, until
 * its time is up.  What is atomic here is one instruction or one call of the
 * system there.
 */

#define BEDS 2
#define THREADS 3
#define CHANGES 2
#define WAKER THREADS

#define FREE 0
#define WOKEN 1
#define KEY 2     /* of the word that changes */
#define STRANGE 3 /* of another one */

byte word = 0;
byte sleepers = 0;
byte bed[BEDS];
byte owner[BEDS];    /* thread + 1, or 0 */
bool event[BEDS];    /* set */
bool dead[THREADS];
byte counted = 0;    /* the living between coming and going */
byte inside[BEDS];   /* the living that have the bed */

/* The end of this process, if it may be; what it had counted stays so. */
inline may_die() {
  if
  :: atomic {
       mortal ->
       dead[me] = true;
       if
       :: here -> counted--
       :: else
       fi;
       if
       :: n < BEDS -> inside[n]--
       :: else
       fi;
       goto gone
     }
  :: true
  fi
}

inline uncount() {
  atomic {
    assert(sleepers > 0);
    sleepers--;
    here = false;
    counted--;
    assert(sleepers >= counted)
  }
}

/* find_bed: n is BEDS if there is none. */
inline take(key) {
  n = 0;
  do
  :: n == BEDS -> break
  :: n < BEDS ->
     atomic {
       if
       :: bed[n] == FREE -> bed[n] = key; inside[n]++; assert(inside[n] == 1); break
       :: else -> n++
       fi
     }
  od
}

inline leave() {
  owner[n] = 0;
  may_die();
  atomic { bed[n] = FREE; inside[n]--; n = BEDS }
  uncount()
}

inline bury() {
  i = 0;
  do
  :: i == BEDS -> break
  :: i < BEDS ->
     o = owner[i];
     if
     :: o != 0 && dead[o - 1] ->
        atomic {
          if
          :: owner[i] == o -> owner[i] = 0
          :: else -> o = 0
          fi
        }
        if
        :: o != 0 ->
           bed[i] = FREE;
           atomic {
             assert(sleepers > counted);
             sleepers--;
             o = 0
           }
        :: else
        fi
     :: else -> o = 0
     fi;
     i++
  od;
  atomic { i = 0; o = 0 }
}

/* Until the word has changed, or for another one, once. */
proctype sleeper(byte me; byte key; bool patient; bool mortal) {
  byte n = BEDS, seen = 0, i = 0, o = 0;
  bool here = false;

  do
  :: key == KEY && seen == CHANGES -> break
  :: else ->
     /* conc_sys_wait_shared(word, seen) */
     atomic { sleepers++; counted++; here = true }
     take(key);
     if
     :: n == BEDS ->
        uncount();
        bury()
     :: else ->
        may_die();
        owner[n] = me + 1;
        may_die();
        if
        :: key == STRANGE || word == seen ->
           if
           :: atomic { event[n] -> event[n] = false }
           :: !patient
           fi
        :: else
        fi;
        leave();
        if
        :: key == STRANGE -> break
        :: else
        fi
     fi;
     seen = word
  od;
gone:
  n = 0
}

/* conc_sys_wake_shared, after each change */
active proctype waker() {
  byte i = 0;
  do
  :: word == CHANGES -> break
  :: else ->
     word++;
     if
     :: sleepers == 0
     :: else ->
        i = 0;
        do
        :: i == BEDS -> break
        :: i < BEDS ->
           if
           :: atomic { bed[i] == KEY -> bed[i] = WOKEN }
              event[i] = true
           :: bed[i] != KEY
           fi;
           i++
        od
     fi
  od
}

init {
  atomic {
    run sleeper(0, KEY, true, false);
    run sleeper(1, KEY, true, true);
    run sleeper(2, STRANGE, false, false)
  }
}
