/*
 * Named blocks on Windows: named sections of the paging file.  The system keeps
 * such a name for as long as somebody has a handle for the section, and cannot
 * take it away before.  So a name stands for a few sections, numbered, of which
 * one at most is not removed, and whoever maps one keeps a handle for it.  What a
 * program leaves behind goes with the last who has it.
 */

#include "sys/windows.h"

#include "sys/shm.h"

#include <stdlib.h>
#include <string.h>

enum {
  HEAD = 4096, /* bytes before the block */
  MOST = 64,   /* sections that have a name, of which all but one lost it */
  LONGEST = CONC_NAME_MOST + 64
};

static const char MAGIC[8] = "conc-sm";

/* [c] constant once 'magic' is written   [a] atomic */
typedef struct head {
  char magic[8];
  uint64_t size, id; /* [c] */
  conc_word removed; /* [a] */
} head;

/* ---- Views ---- */

typedef struct view {
  char *base;
  HANDLE section;
  struct view *next; /* [l] */
} view;

static struct {
  SRWLOCK lock;
  view *first; /* [l] */
} views = {.lock = SRWLOCK_INIT};

static head *head_of(const conc_named *n) {
  return (head *)(void *)(n->map.base - HEAD);
}

/* The view owns the handle, whatever happens. */
static apr_status_t map(conc_named *n, HANDLE section) {
  char *p = MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, 0);
  view *v = p == NULL ? NULL : malloc(sizeof *v);
  if (v == NULL) {
    apr_status_t st = p == NULL ? conc_windows_error() : APR_ENOMEM;
    if (p != NULL)
      (void)UnmapViewOfFile(p);
    (void)CloseHandle(section);
    return st;
  }
  *n = (conc_named){.map = {.base = p + HEAD, .handle = -1}};
  *v = (view){.base = n->map.base, .section = section};
  AcquireSRWLockExclusive(&views.lock);
  v->next = views.first;
  views.first = v;
  ReleaseSRWLockExclusive(&views.lock);
  return APR_SUCCESS;
}

static HANDLE section_of(const conc_named *n) {
  AcquireSRWLockShared(&views.lock);
  const view *v = views.first;
  while (v->base != n->map.base)
    v = v->next;
  ReleaseSRWLockShared(&views.lock);
  return v->section;
}

void conc_sys_named_unmap(conc_named *n) {
  AcquireSRWLockExclusive(&views.lock);
  view **link = &views.first;
  while (*link != NULL && (*link)->base != n->map.base)
    link = &(*link)->next;
  view *v = *link;
  if (v != NULL)
    *link = v->next;
  ReleaseSRWLockExclusive(&views.lock);
  (void)UnmapViewOfFile(n->map.base - HEAD);
  n->map.base = NULL;
  if (v != NULL)
    (void)CloseHandle(v->section);
  free(v);
}

/* ---- Names ---- */

static bool section_name(wchar_t out[LONGEST], const char *name, unsigned i) {
  wchar_t *wide = conc_windows_wide(name);
  if (wide != NULL)
    (void)swprintf(out, LONGEST, L"Local\\conc.named.%u.%ls", i, wide);
  free(wide);
  return wide != NULL;
}

/* APR_ENOENT: none; APR_EAGAIN: it is not ready, or removed. */
static apr_status_t open_nth(conc_named *n, const char *name, unsigned i) {
  wchar_t full[LONGEST];
  if (!section_name(full, name, i))
    return APR_ENOMEM;
  HANDLE section = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, full);
  if (section == NULL)
    return conc_windows_error();
  apr_status_t st = map(n, section);
  if (st != APR_SUCCESS)
    return st;
  head *h = head_of(n);
  if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0 ||
      atomic_load(&h->removed) != 0) {
    conc_sys_named_unmap(n);
    return APR_EAGAIN;
  }
  n->map.size = (size_t)h->size;
  n->id = h->id;
  return APR_SUCCESS;
}

/* Sections before it may be gone, so all numbers are asked. */
apr_status_t conc_sys_named_open(conc_named *n, const char *name) {
  for (unsigned i = 0; i < MOST; i++) {
    apr_status_t st = open_nth(n, name, i);
    if (st != APR_ENOENT && st != APR_EAGAIN)
      return st;
  }
  return APR_ENOENT;
}

/* ---- Making ---- */

static uint64_t fresh_id(void) {
  static conc_word counter;
  LARGE_INTEGER ticks;
  QueryPerformanceCounter(&ticks);
  uint64_t id = (uint64_t)ticks.QuadPart ^ conc_sys_pid() << 40 ^
                (uint64_t)atomic_fetch_add(&counter, 1) << 32;
  return id == 0 ? 1 : id;
}

/* APR_EEXIST: this number is taken. */
static apr_status_t make_nth(conc_named *n, const char *name, unsigned i,
                             size_t size) {
  wchar_t full[LONGEST];
  uint64_t all = (uint64_t)size + HEAD;
  if (!section_name(full, name, i))
    return APR_ENOMEM;
  HANDLE section =
    CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE,
                       (DWORD)(all >> 32), (DWORD)all, full);
  if (section == NULL)
    return conc_windows_error();
  if (GetLastError() == ERROR_ALREADY_EXISTS) {
    (void)CloseHandle(section);
    return APR_EEXIST;
  }
  apr_status_t st = map(n, section);
  if (st != APR_SUCCESS)
    return st;
  head *h = head_of(n);
  n->map.size = size;
  n->id = h->id = fresh_id();
  h->size = size;
  atomic_thread_fence(memory_order_release);
  memcpy(h->magic, MAGIC, sizeof MAGIC);
  return APR_SUCCESS;
}

static apr_status_t make(conc_named *n, const char *name, size_t size) {
  apr_status_t st = conc_sys_named_open(n, name);
  if (st == APR_SUCCESS) {
    conc_sys_named_unmap(n);
    return APR_EEXIST;
  }
  st = st == APR_ENOENT ? APR_EEXIST : st;
  for (unsigned i = 0; i < MOST && st == APR_EEXIST; i++)
    st = make_nth(n, name, i, size);
  return st;
}

/* One at a time in the session, so that a name has one block. */
apr_status_t conc_sys_named_new(conc_named *n, const char *name, size_t size,
                                bool owned) {
  HANDLE self = GetCurrentProcess(), keep = NULL;
  if (size > SIZE_MAX / 4)
    return APR_ENOSPC;
  HANDLE one = CreateMutexW(NULL, FALSE, L"Local\\conc.named");
  if (one == NULL)
    return conc_windows_error();
  (void)WaitForSingleObject(one, INFINITE);
  apr_status_t st = make(n, name, size);
  (void)ReleaseMutex(one);
  (void)CloseHandle(one);
  if (st == APR_SUCCESS && owned &&
      DuplicateHandle(self, section_of(n), self, &keep, 0, FALSE,
                      DUPLICATE_SAME_ACCESS))
    n->map.handle = (intptr_t)keep; /* beside the view's */
  return st;
}

/* ---- Removing ---- */

apr_status_t conc_sys_named_remove(const char *name, uint64_t id) {
  conc_named n;
  apr_status_t st = conc_sys_named_open(&n, name);
  if (st != APR_SUCCESS)
    return st;
  if (n.id == id)
    atomic_store(&head_of(&n)->removed, 1);
  else
    st = APR_ENOENT;
  conc_sys_named_unmap(&n);
  return st;
}

void conc_sys_named_forget(intptr_t handle) {
  if (handle != -1)
    (void)CloseHandle((HANDLE)handle);
}

/* The system does that. */
bool conc_sys_named_lingers(void) { return false; }

void conc_sys_named_sweep(void) {}
