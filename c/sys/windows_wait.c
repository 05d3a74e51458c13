/*
 * Waiting on words that processes share.  Windows waits on addresses within one
 * process only, so a segment has a table of beds, in buckets by the number of
 * the word, and each bed has an event, a kernel object of its own.
 *
 * A sleeper counts itself in its bucket, takes a free bed for its word, looks at
 * the word once more, and sleeps on the bed's event.  A waker, who has changed
 * the word before, looks at the count: either it sees the sleeper, or the
 * sleeper, who counted itself before it looked, sees the change (both are
 * seq_cst).  The same holds for the bed and its event: the waker sets those of
 * all beds for its word, and writes nothing, so that it may die anywhere.  Only
 * who has the bed frees it, after its sleep.  An event that is set late, after
 * its sleeper was gone (time was up, or another one woke it), wakes the next one
 * in that bed for no reason, which the contract allows.
 *
 * All sleepers of a word are woken, also for one: the one might have died in its
 * bed, and nobody would hear of it.  The beds of the dead are freed when a bucket
 * is full; when it still is, one sleeps a moment, for no reason.
 */

#include "sys/windows.h"

#include "sys/shm.h"
#include "sys/windows_shm.h"

enum { FREE = 0, FIRST = 1 };

/* ---- Events ---- */

/* Of this process: the preface they are for, and the events it has opened. */
static struct {
  const conc_preface *_Atomic preface;
  _Atomic(HANDLE) events[CONC_BUCKETS * CONC_BEDS];
} known;

void conc_windows_object(wchar_t name[CONC_OBJECT_NAME], const conc_preface *p,
                         const wchar_t *what, unsigned n) {
  (void)swprintf(name, CONC_OBJECT_NAME, L"Local\\conc.%llx.%llx.%ls.%u",
                 (unsigned long long)p->name[0], (unsigned long long)p->name[1],
                 what, n);
}

static HANDLE open_event(const conc_preface *p, unsigned n) {
  wchar_t name[CONC_OBJECT_NAME];
  conc_windows_object(name, p, L"bed", n);
  return CreateEventW(NULL, FALSE, FALSE, name);
}

/*
 * The event of a bed.  They are kept for the first segment that this process
 * sleeps in, its heap; else *mine says that it is to be closed again.
 */
static HANDLE event_of(const conc_preface *p, unsigned n, bool *mine) {
  const conc_preface *none = NULL;
  *mine =
    !atomic_compare_exchange_strong(&known.preface, &none, p) && none != p;
  if (*mine)
    return open_event(p, n);
  HANDLE h = atomic_load(&known.events[n]), nothing = NULL;
  if (h != NULL || (h = open_event(p, n)) == NULL)
    return h;
  if (atomic_compare_exchange_strong(&known.events[n], &nothing, h))
    return h;
  (void)CloseHandle(h);
  return nothing;
}

/* ---- Beds ---- */

static unsigned bucket_of(uint32_t word) {
  return (word * 0x9e3779b1u >> 16) % CONC_BUCKETS;
}

static bool take(conc_bed *bed, uint32_t key) {
  uint32_t free = FREE;
  if (atomic_load(&bed->word) != FREE ||
      !atomic_compare_exchange_strong(&bed->word, &free, key))
    return false;
  atomic_store(&bed->owner, GetCurrentProcessId());
  return true;
}

static conc_bed *find_bed(conc_bucket *b, uint32_t key) {
  for (int i = 0; i < CONC_BEDS; i++)
    if (take(&b->beds[i], key))
      return &b->beds[i];
  return NULL;
}

static bool dead(DWORD pid) {
  HANDLE h = OpenProcess(SYNCHRONIZE, FALSE, pid);
  if (h == NULL)
    return GetLastError() == ERROR_INVALID_PARAMETER; /* no such process */
  bool ended = WaitForSingleObject(h, 0) == WAIT_OBJECT_0;
  (void)CloseHandle(h);
  return ended;
}

/* Who took a bed and died before it said who it is keeps it. */
static void bury(conc_bucket *b) {
  const uint32_t us = GetCurrentProcessId();
  for (int i = 0; i < CONC_BEDS; i++) {
    uint32_t owner = atomic_load(&b->beds[i].owner);
    if (owner != 0 && owner != us && dead(owner) &&
        atomic_compare_exchange_strong(&b->beds[i].owner, &owner, 0)) {
      atomic_store(&b->beds[i].word, FREE);
      atomic_fetch_sub(&b->sleepers, 1);
    }
  }
}

static void leave(conc_bucket *b, conc_bed *bed) {
  atomic_store(&bed->owner, 0);
  atomic_store(&bed->word, FREE);
  atomic_fetch_sub(&b->sleepers, 1);
}

void conc_sys_wait_shared(conc_word *w, uint32_t expected, int64_t timeout) {
  uint32_t number;
  bool mine;
  conc_preface *p = conc_windows_segment_of(w, &number);
  if (p == NULL) {
    conc_sys_wait(w, expected, timeout);
    return;
  }
  unsigned which = bucket_of(number);
  conc_bucket *b = &p->buckets[which];
  atomic_fetch_add(&b->sleepers, 1);
  conc_bed *bed = find_bed(b, number + FIRST);
  if (bed == NULL) {
    atomic_fetch_sub(&b->sleepers, 1);
    bury(b);
    Sleep(1);
    return;
  }
  unsigned n = which * CONC_BEDS + (unsigned)(bed - b->beds);
  HANDLE event = event_of(p, n, &mine);
  if (event == NULL)
    Sleep(1);
  else if (atomic_load(w) == expected)
    (void)WaitForSingleObject(event, conc_windows_milliseconds(timeout));
  leave(b, bed);
  if (mine && event != NULL)
    (void)CloseHandle(event);
}

static void wake(const conc_preface *p, unsigned n) {
  bool mine;
  HANDLE event = event_of(p, n, &mine);
  if (event == NULL)
    return;
  (void)SetEvent(event);
  if (mine)
    (void)CloseHandle(event);
}

bool conc_sys_wake_shared(conc_word *w, bool all) {
  uint32_t number;
  bool any = false;
  conc_preface *p = conc_windows_segment_of(w, &number);
  if (p == NULL) {
    conc_sys_wake(w, all);
    return true;
  }
  unsigned which = bucket_of(number);
  conc_bucket *b = &p->buckets[which];
  /* The word may have been changed by less than a seq_cst store. */
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load(&b->sleepers) == 0)
    return false;
  for (unsigned i = 0; i < CONC_BEDS; i++)
    if (atomic_load(&b->beds[i].word) == number + FIRST) {
      wake(p, which * CONC_BEDS + i);
      any = true;
    }
  return any;
}
