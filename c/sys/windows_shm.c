/*
 * Shared memory on Windows: a section of the paging file, whose handle children
 * inherit.  Before its bytes come a few of our own: a random name, from which
 * those of the kernel objects that go with it are made, and the table of who
 * sleeps (windows_wait.c).
 */

#include "sys/windows.h"

#include "sys/process.h"
#include "sys/shm.h"
#include "sys/windows_shm.h"

#include <string.h>

/* ---- The segments that are mapped here ---- */

/* [l] under the lock */
static struct {
  SRWLOCK lock;
  char *bases[CONC_SEGMENTS];  /* [l] */
  size_t sizes[CONC_SEGMENTS]; /* [l] */
} mapped = {.lock = SRWLOCK_INIT};

static apr_status_t note(const conc_segment *s) {
  apr_status_t st = APR_ENOSPC;
  AcquireSRWLockExclusive(&mapped.lock);
  for (int i = 0; i < CONC_SEGMENTS && st != APR_SUCCESS; i++)
    if (mapped.bases[i] == NULL) {
      mapped.bases[i] = s->base;
      mapped.sizes[i] = s->size;
      st = APR_SUCCESS;
    }
  ReleaseSRWLockExclusive(&mapped.lock);
  return st;
}

static void forget(const conc_segment *s) {
  AcquireSRWLockExclusive(&mapped.lock);
  for (int i = 0; i < CONC_SEGMENTS; i++)
    if (mapped.bases[i] == s->base)
      mapped.bases[i] = NULL;
  ReleaseSRWLockExclusive(&mapped.lock);
}

conc_preface *conc_windows_segment_of(const void *p, uint32_t *word) {
  conc_preface *found = NULL;
  AcquireSRWLockShared(&mapped.lock);
  for (int i = 0; i < CONC_SEGMENTS && found == NULL; i++) {
    size_t offset = (size_t)((uintptr_t)p - (uintptr_t)mapped.bases[i]);
    if (mapped.bases[i] != NULL && offset < mapped.sizes[i]) {
      *word = (uint32_t)(offset / sizeof(conc_word));
      found = (conc_preface *)(void *)(mapped.bases[i] - CONC_PREFACE);
    }
  }
  ReleaseSRWLockShared(&mapped.lock);
  return found;
}

/* ---- Segments ---- */

/* Random enough: no other process made one with this number at this tick. */
static void name_it(conc_preface *p) {
  static _Atomic uint64_t counter;
  LARGE_INTEGER ticks;
  QueryPerformanceCounter(&ticks);
  p->name[0] = (uint64_t)ticks.QuadPart;
  p->name[1] =
    (uint64_t)GetCurrentProcessId() << 32 | atomic_fetch_add(&counter, 1);
}

static apr_status_t map(conc_segment *s, HANDLE h, size_t size) {
  char *p = MapViewOfFile(h, FILE_MAP_ALL_ACCESS, 0, 0, CONC_PREFACE + size);
  if (p == NULL)
    return conc_windows_error();
  *s = (conc_segment){
    .base = p + CONC_PREFACE, .size = size, .handle = (intptr_t)h};
  if (VirtualAlloc(p, CONC_PREFACE, MEM_COMMIT, PAGE_READWRITE) == NULL ||
      note(s) != APR_SUCCESS) {
    (void)UnmapViewOfFile(p);
    return APR_ENOMEM;
  }
  return APR_SUCCESS;
}

apr_status_t conc_sys_segment_new(conc_segment *s, size_t size) {
  uint64_t all = (uint64_t)size + CONC_PREFACE;
  HANDLE h =
    CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE,
                       (DWORD)(all >> 32), (DWORD)all, NULL);
  if (h == NULL)
    return conc_windows_error();
  apr_status_t st = map(s, h, size);
  if (st == APR_SUCCESS)
    name_it((conc_preface *)(void *)(s->base - CONC_PREFACE));
  else
    (void)CloseHandle(h);
  return st;
}

apr_status_t conc_sys_segment_open(conc_segment *s, intptr_t handle,
                                   size_t size) {
  if (!SetHandleInformation((HANDLE)handle, HANDLE_FLAG_INHERIT, 0))
    return conc_windows_error();
  return map(s, (HANDLE)handle, size);
}

apr_status_t conc_sys_segment_commit(const conc_segment *s, size_t from,
                                     size_t to) {
  return VirtualAlloc(s->base + from, to - from, MEM_COMMIT, PAGE_READWRITE) ==
             NULL
           ? APR_ENOSPC
           : APR_SUCCESS;
}

void conc_sys_segment_unmap(conc_segment *s) {
  forget(s);
  (void)UnmapViewOfFile(s->base - CONC_PREFACE);
  s->base = NULL;
}

void conc_sys_segment_close(conc_segment *s) {
  if (s->base != NULL)
    conc_sys_segment_unmap(s);
  (void)CloseHandle((HANDLE)s->handle);
  s->handle = -1;
}

/*
 * A quarter of the machine's memory, within reason: the system keeps tables for
 * reserved memory too, and words are counted in 32 bits.
 */
size_t conc_sys_segment_most(void) {
  const uint64_t most = (uint64_t)(sizeof(void *) > 4 ? 4096 : 256) << 20;
  MEMORYSTATUSEX memory = {.dwLength = sizeof memory};
  if (!GlobalMemoryStatusEx(&memory) || memory.ullTotalPhys / 4 > most)
    return (size_t)most;
  return (size_t)(memory.ullTotalPhys / 4);
}

/* ---- Claims ---- */

/*
 * Who claims a number has a kernel object of that name, which goes with the last
 * handle for it.  One process at a time looks at them, so that what it finds
 * belongs to who claims, and not to another one that looks.
 */
static struct {
  SRWLOCK lock;
  bool set[CONC_CLAIMS]; /* [l] ours: they are for all threads of a process */
} claims = {.lock = SRWLOCK_INIT};

static conc_preface *preface_of(const conc_segment *s) {
  return (conc_preface *)(void *)(s->base - CONC_PREFACE);
}

/* A process that was stopped here is not waited for; that of one that was
   killed here is about to be closed. */
static HANDLE begin_look(const conc_segment *s) {
  enum { PATIENCE = 1000 /* ms */ };
  wchar_t name[CONC_OBJECT_NAME];
  conc_windows_object(name, preface_of(s), L"look", 0);
  HANDLE turn = CreateMutexW(NULL, FALSE, name);
  if (turn != NULL && WaitForSingleObject(turn, PATIENCE) == WAIT_ABANDONED)
    Sleep(1);
  return turn;
}

static void end_look(HANDLE turn) {
  if (turn == NULL)
    return;
  (void)ReleaseMutex(turn);
  (void)CloseHandle(turn);
}

/* Make it; NULL: it is there, or cannot be made. */
static HANDLE new_claim(const wchar_t *name) {
  HANDLE h = CreateEventW(NULL, TRUE, FALSE, name);
  if (h != NULL && GetLastError() == ERROR_ALREADY_EXISTS) {
    (void)CloseHandle(h);
    return NULL;
  }
  return h;
}

/* When the kernel does not say, it is not dead. */
static bool is_claimed(const wchar_t *name) {
  HANDLE h = OpenEventW(SYNCHRONIZE, FALSE, name);
  if (h == NULL)
    return GetLastError() != ERROR_FILE_NOT_FOUND;
  (void)CloseHandle(h);
  return true;
}

/* A process has one segment and may claim in it for ever, as on Unix. */
bool conc_sys_claim(const conc_segment *s, unsigned n) {
  wchar_t name[CONC_OBJECT_NAME];
  if (n >= CONC_CLAIMS)
    return false;
  conc_windows_object(name, preface_of(s), L"claim", n);
  AcquireSRWLockExclusive(&claims.lock);
  if (!claims.set[n]) {
    HANDLE turn = begin_look(s);
    claims.set[n] = new_claim(name) != NULL;
    end_look(turn);
  }
  bool ours = claims.set[n];
  ReleaseSRWLockExclusive(&claims.lock);
  return ours;
}

bool conc_sys_claimed(const conc_segment *s, unsigned n) {
  wchar_t name[CONC_OBJECT_NAME];
  if (n >= CONC_CLAIMS)
    return false;
  conc_windows_object(name, preface_of(s), L"claim", n);
  AcquireSRWLockShared(&claims.lock);
  bool ours = claims.set[n];
  ReleaseSRWLockShared(&claims.lock);
  if (ours)
    return false;
  HANDLE turn = begin_look(s);
  bool there = is_claimed(name);
  end_look(turn);
  return there;
}

void conc_sys_die(void) { conc_sys_end_now(CONC_KILLED + 9); }
