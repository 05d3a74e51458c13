#ifndef CONC_DEADLOCK_H
#define CONC_DEADLOCK_H

/*
 * Finding out that a family of threads waits for itself: each thread of a root,
 * its main thread too, waits without a deadline, and nobody else could end one
 * of the waits.  Then all of them end with CONC_DEADLOCK, but for those that
 * wait for work.
 *
 * It costs nothing while threads run: the main thread, which must be one of
 * those that wait, looks at the others every now and then while it does.
 *
 * It is silent when it cannot be sure:
 *  - somebody is outside of conc's waits (it runs, reads a file, sleeps in a C
 *    function), has a deadline, or sleeps;
 *  - somebody waits for a descriptor or the like (parker's 'abroad');
 *  - somebody else in the process may end waits (conc_outside): another root,
 *    processes that were started, a thread that is just leaving;
 *  - a signal may run code of the program.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

typedef struct conc_root conc_root;

/*
 * A part of every root; zeros, but for the patience.
 *   [a] atomic   [m] of the main thread   [l] lock
 */
typedef struct conc_detector {
  conc_word off;              /* [a] */
  _Atomic conc_time patience; /* [a] how long all have to be seen like this */
  bool looking;               /* [m] a question is out */
  uint64_t round;             /* [m] its number */
  size_t n;                   /* [m] threads that were noted */
  conc_time since;            /* [m] when they were, for the first time */
  conc_word lock;             /* a leaf */
  char *text;                 /* [l] who waited for what, or NULL */
} conc_detector;

/*
 * 'change' more (or less, if negative) of those in this process who are no
 * threads of a root and may end waits of its threads: helpers, watchers, other
 * processes.  Who ends a wait must be counted until he has done so.
 */
void conc_outside(int change);

/* To be called from time to time by the main thread while it waits. */
void conc_deadlock_look(conc_root *r);

/* Switch it on or off; returns what it was. */
bool conc_deadlock_detect(conc_root *r, bool on);

/* Tell nobody before all have waited for 'span' ns; 2 s at first: somebody who
   looks at a program that has stopped may want to end it by Ctrl-C. */
void conc_deadlock_patience(conc_root *r, conc_time span);
enum { CONC_PATIENCE_MS = 2000 };

/* What the last one was about, cut to size. */
void conc_deadlock_text(conc_root *r, char *text, size_t size);

#endif
