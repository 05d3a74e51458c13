/* mutants: 4 */
/*
 * core/latest.h: the copy of the message that was put last.  One puts, and writes
 * the copy first; two get, in turn under their lock, and read the copy when the
 * message they want is the last that their last look at 'put' told of.
 * Checked: who believes the copy has all of the message that it wanted.
 *
 * The mutants: the mark is not cleared before, or only after the first word, or is
 * not read again; the number that it holds is not looked at.
 */

#define MESSAGES 4

byte mark = 0;       /* which message; 0: none */
byte first = 0, second = 0; /* its words: the number of the message, both */
byte put = 0, got = 0, put_seen = 0;
bool head = false;   /* the getters' lock */

active proctype putter() {
  byte n = 1;
  do
  :: n <= MESSAGES ->
#if MUTANT != 1 && MUTANT != 2
    mark = 0;
#endif
    first = n;
#if MUTANT == 2
    mark = 0;
#endif
    second = n;
    mark = n;
    put = n;
    n++
  :: else -> break
  od
}

active [2] proctype getter() {
  byte one, two, before;
  do
  :: atomic { !head -> head = true };
    if
    :: got == MESSAGES -> head = false; break
    :: got == put_seen -> put_seen = put
    :: else
    fi;
    if
    :: got + 1 == put_seen ->
      before = mark;
      if
#if MUTANT == 4
      :: before != 0 ->
#else
      :: before == got + 1 ->
#endif
        one = first;
        two = second;
        if
#if MUTANT == 3
        :: true ->
#else
        :: mark == before ->
#endif
          assert(one == got + 1 && two == got + 1)
        :: else
        fi
      :: else
      fi
    :: else
    fi;
    if
    :: got != put_seen -> got++
    :: else
    fi;
    head = false
  od
}
