#ifndef CONC_WINDOWS_SHM_H
#define CONC_WINDOWS_SHM_H

/* What lies before a segment, for windows_shm.c and windows_wait.c. */

#include "sys/sys.h"

enum {
  CONC_PREFACE = 65536,  /* bytes: the grain of mappings */
  CONC_SEGMENTS = 16,    /* mapped in a process at a time */
  CONC_CLAIMS = 1 << 16, /* numbers from 0 */
  CONC_BUCKETS = 64,
  CONC_BEDS = 64, /* in a bucket */
  CONC_OBJECT_NAME = 80
};

/* Where a thread sleeps.  See windows_wait.c. */
typedef struct conc_bed {
  conc_word word;  /* [a] free, or the number of the word */
  conc_word owner; /* [a] its process; written by who has it */
} conc_bed;

typedef struct conc_bucket {
  _Alignas(64) conc_word sleepers; /* [a] beds in use, or about to be */
  conc_bed beds[CONC_BEDS];
} conc_bucket;

typedef struct conc_preface {
  uint64_t name[2]; /* [c] */
  conc_bucket buckets[CONC_BUCKETS];
} conc_preface;

_Static_assert(sizeof(conc_preface) <= CONC_PREFACE, "it fits");

/* The segment that p is in, and the number of its word there; or NULL. */
conc_preface *conc_windows_segment_of(const void *p, uint32_t *word);

/* The name of a kernel object of a segment. */
void conc_windows_object(wchar_t name[CONC_OBJECT_NAME], const conc_preface *p,
                         const wchar_t *what, unsigned n);

#endif
