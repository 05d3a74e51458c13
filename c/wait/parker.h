#ifndef CONC_PARKER_H
#define CONC_PARKER_H

/*
 * A parker is who waits: one for each thread of conc, one for each Lua state
 * that a host owns.  Every call of conc that may block is given the caller's.
 *
 * Parking is an interface: a thread sleeps in the kernel, other kinds may
 * yield a coroutine or write to a descriptor.
 *
 * Memory: parkers go back to a pool and are never freed, because a waker may
 * still call unpark on one whose wait is over.  That makes a park return
 * early, which every caller of park expects.
 */

#include <apr_errno.h>
#include <stdbool.h>

#include "base/clock.h"

typedef struct conc_parker conc_parker;

enum { CONC_ABOUT = 160 };

/*
 * 'wait' grows with each wait that begins and ends, so that equal values mean
 * the same wait; it is never 0.  Its lowest bits are the kind.  A bounded wait
 * has a deadline, is shielded, or is for something from outside; an idle one
 * waits for work.
 */
enum {
  CONC_WAIT_NONE,
  CONC_WAIT_BOUNDED,
  CONC_WAIT_IDLE,
  CONC_WAIT_ENDLESS,
  CONC_WAIT_KIND = 3
};

typedef struct conc_parker_class {
  /* Block until unparked or 'until'; may return early.  Owner only. */
  void (*park)(conc_parker *p, conc_time until);
  /* Make the current park return, or the next one. */
  void (*unpark)(conc_parker *p);
} conc_parker_class;

/*
 * 'poll' is called in the owner's waits, each time before it sleeps: after
 * whatever has unparked it, and from time to time if the waits are 'sliced'.
 * It may not wait or raise.  True ends the wait with CONC_INTERRUPTED, unless
 * it is deaf.
 *   [c] constant while in use   [a] atomic   [o] owner only   [p] of the pool
 *   [w] of the one thread that watches
 */
struct conc_parker {
  const conc_parker_class *cls; /* [c] */
  conc_word state;              /* [a] of the thread parker */
  conc_word cancel;             /* [a] nonzero: waits end with CANCELLED */
  uint32_t shield;              /* [o] > 0: 'cancel' is not looked at */
  uint32_t deaf;                /* [o] > 0: poll ends no wait */
  uint64_t life; /* [o] of the thread: no other has had it here, > 0 */
  _Atomic(conc_word *) foreign; /* [a] written by [o], see ipc/word.c */
  conc_word looks;              /* [a] written by [o], same */
  uint32_t spin;                /* [o] ns, see spin.h */
  uint32_t spins;               /* [o] */
  uint32_t dice;                /* [o] see core/select.c */
  conc_word asked;              /* [a] what others want of the owner */
  bool (*poll)(void *arg);      /* [o] see below; may be NULL */
  void *arg;                    /* [o] for poll */
  bool sliced;                  /* [o] poll every now and then */
  bool idle;                    /* [o] what it waits for is work */
  bool abroad;                  /* [o] ... comes from outside of the family */
  conc_time since;              /* [o] when its wait began */
  /* For whoever watches all threads of a family (core/deadlock.c): */
  _Atomic uint64_t wait;    /* [a] by the owner; see conc_wait_kind */
  _Atomic uint64_t look;    /* [a] by the watcher: its last question */
  _Atomic uint64_t vouched; /* [a] by the owner: the last one answered */
  _Atomic uint64_t doomed;  /* [a] by the watcher: end that 'wait' */
  uint64_t noted;           /* [w] of the watcher */
  char about[CONC_ABOUT];   /* [o] what it waits for; stays once it vouched */
  conc_parker *next;        /* [p] */
};

/* A thread parker from the pool, or NULL when there is no memory. */
conc_parker *conc_parker_new(void);

/* Another thread begins to use it: it is not who the last one was. */
void conc_parker_begin(conc_parker *p);

/* Back to the pool; NULL is ignored. */
void conc_parker_free(conc_parker *p);

/* Why a wait should end by itself now, or APR_SUCCESS.  Owner only. */
apr_status_t conc_parker_expired(const conc_parker *p, conc_time deadline);

/* When to ask that again, at the latest. */
conc_time conc_parker_slice(const conc_parker *p, conc_time deadline);

/* End the owner's current or next wait with CONC_CANCELLED.  Any thread. */
void conc_parker_cancel(conc_parker *p);

/* Set bits in 'asked' and let the owner's wait poll.  Any thread. */
void conc_parker_ask(conc_parker *p, uint32_t what);
/* Owner only: was it asked that?  If so it is answered. */
bool conc_parker_answer(conc_parker *p, uint32_t what);

/* Bits of 'asked'. */
enum {
  CONC_ASKED_NOTES = 0x100, /* futures the owner wanted to hear of are done */
  CONC_ASKED_ABOUT = 0x200, /* write 'about' */
  CONC_ASKED_REPORT = 0x400 /* see conc_thread_ask */
};

#endif
