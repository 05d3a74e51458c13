#ifndef CONC_BROOD_H
#define CONC_BROOD_H

/* The processes that one root (core/root.h) has started are its brood. */

#include "core/blob.h"
#include "ipc/process.h"

apr_status_t conc_brood_new(conc_obj **out);
void conc_brood_release(conc_brood *b);

/* A number for names: 1, 2, 3 ... */
uint64_t conc_brood_count(conc_brood *b);

/*
 * Texts that all threads of the program share: a note is a retained blob, or
 * NULL when it was never set.  set takes the reference over; 'keep': one that
 * is there stays.
 */
typedef enum {
  CONC_NOTE_EXECUTABLE,  /* what the user said */
  CONC_NOTE_INTERPRETER, /* what was found */
  CONC_NOTE_METHOD,
  CONC_NOTE_PRELOAD,
  CONC_NOTE_KEY,
  CONC_NOTES
} conc_note;
conc_blob *conc_brood_note(conc_brood *b, conc_note which);
void conc_brood_set_note(conc_brood *b, conc_note which, conc_blob *text,
                         bool keep);

/*
 * This process itself (PARENT: the one that started it) as one of the brood
 * sees it, retained; NULL: nobody has said so.  set takes the reference
 * over and returns the one before; the processes of a brood are children of
 * who was last set as SELF.
 */
typedef enum { CONC_SELF, CONC_PARENT } conc_relative;
conc_process *conc_brood_relative(conc_brood *b, conc_relative which);
conc_process *conc_brood_set_relative(conc_brood *b, conc_relative which,
                                      conc_process *p);

/* Up to 'room' processes that run, retained, oldest first; how many there
   are. */
size_t conc_brood_processes(conc_brood *b, conc_obj **list, size_t room);

/*
 * The end of a brood: daemons are terminated, the others joined until
 * 'deadline' and then terminated as well; who is left after 'grace' ns is
 * killed.  Nothing starts any more.
 */
void conc_brood_close(conc_brood *b, conc_parker *self, conc_time deadline,
                      int64_t grace);

/* ---- For brood.c, process.c, forks.c and sweeper.c ---- */

/*
 * [l] lock, a leaf but for the lot   [a] atomic
 */
struct conc_brood {
  conc_obj obj;
  conc_word lock;
  bool closed;                /* [l] nothing starts any more */
  conc_process *first, *last; /* [l] STARTING and STARTED, each a reference */
  conc_word ends;             /* [a] changes when one is DONE */
  _Atomic uint64_t counter;   /* [a] */
  uint32_t rounds;            /* of whoever closes */
  conc_word forking; /* [a] a latch: whose turn it is to make the next two */
  conc_forks *forks; /* [l] a reference, or NULL */
  conc_sweeper *sweeper;        /* [l] a reference, or NULL */
  conc_blob *notes[CONC_NOTES]; /* [l] references, or NULL */
  conc_process *relatives[2];   /* [l] references, or NULL */
  uint64_t pid;                 /* [l] of the process it is in */
};

/* Is in the list from now on, with a reference; CONC_CLOSED. */
apr_status_t conc_brood_add(conc_brood *b, conc_process *p);
void conc_brood_remove(conc_brood *b, conc_process *p);

/* The process has ended so: out of the list, DONE, everybody told. */
void conc_process_finish(conc_process *p, conc_sys_end end);

/* Start 'how' with 'theirs' (which stays the caller's) inherited. */
apr_status_t conc_process_spawn(uint64_t *pid, const conc_process_how *how,
                                conc_handle theirs);

/* Write the bytes and where their shared objects are; a channel whose other
   side is gone is no error. */
apr_status_t conc_process_write(conc_handle channel, const conc_wire *job,
                                uint64_t parcel, conc_parker *self);

#endif
