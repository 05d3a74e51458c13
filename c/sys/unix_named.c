/*
 * Named blocks on Unix: files of shm_open.  At its end each has a trailer that
 * tells its size, and by which conc knows its own.  The creator of an owned
 * block keeps it open with a lock that the kernel drops when the process ends:
 * a trailer without a lock is left over.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/shm.h"
#include "sys/unix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/unix.h"

typedef struct trailer {
  char magic[8]; /* last written */
  uint64_t size, id, owned;
} trailer;

static const char MAGIC[8] = "conc-sm";

/* In pages: macOS gives no other sizes. */
static size_t whole(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (size + sizeof(trailer) + page - 1) / page * page;
}

static int open_name(const char *name, int flags) {
  char path[CONC_NAME_MOST + 2];
  (void)snprintf(path, sizeof path, "/%s", name);
  return conc_unix_lift(shm_open(path, flags, 0600));
}

static int unlink_name(const char *name) {
  char path[CONC_NAME_MOST + 2];
  (void)snprintf(path, sizeof path, "/%s", name);
  return shm_unlink(path) == 0 ? 0 : errno;
}

/*
 * False: the file is none of conc's.  It is mapped, since not every system reads
 * such files; and not every one calls them regular, so that a type is fine, too,
 * that is none.
 */
static bool read_trailer(int fd, trailer *t) {
  struct stat file;
  if (fstat(fd, &file) != 0 ||
      ((file.st_mode & S_IFMT) != 0 && !S_ISREG(file.st_mode)) ||
      file.st_size < (off_t)sizeof *t)
    return false;
  size_t size = (size_t)file.st_size, at = size - sizeof *t;
  char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED)
    return false;
  memcpy(t, p + at, sizeof *t);
  (void)munmap(p, size);
  return memcmp(t->magic, MAGIC, sizeof MAGIC) == 0 && t->size <= at;
}

/* ---- Making ---- */

static uint64_t fresh_id(const void *salt) {
  uint64_t id = (uint64_t)conc_sys_now() ^ conc_sys_pid() << 40 ^
                (uint64_t)(uintptr_t)salt << 20;
  return id == 0 ? 1 : id;
}

static int give_memory(int fd, size_t size) {
  if (ftruncate(fd, (off_t)size) != 0)
    return errno;
  return conc_unix_allocate(fd, 0, size);
}

static apr_status_t map(conc_named *n, int fd, size_t size, size_t all) {
  void *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED)
    return errno;
  n->map = (conc_segment){.base = p, .size = size, .handle = -1};
  return APR_SUCCESS;
}

static apr_status_t fill(conc_named *n, int fd, size_t size, bool owned) {
  int st = give_memory(fd, whole(size));
  if (st == 0)
    st = map(n, fd, size, whole(size));
  if (st != 0)
    return st;
  n->id = fresh_id(n->map.base);
  trailer t = {.size = size, .id = n->id, .owned = owned};
  char *end = n->map.base + whole(size) - sizeof t;
  memcpy(end, &t, sizeof t);
  atomic_thread_fence(memory_order_release);
  memcpy(end, MAGIC, sizeof MAGIC);
  return APR_SUCCESS;
}

/*
 * Is it the block of a dead process?  Locks it if so: then nobody else removes
 * it, and if it has a name still, that is this one.
 */
static bool left_over(int fd) {
  trailer t;
  struct stat file;
  return read_trailer(fd, &t) && t.owned != 0 &&
         flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &file) == 0 &&
         file.st_nlink > 0;
}

static void remove_left_over(const char *name) {
  int fd = open_name(name, O_RDWR);
  if (fd < 0)
    return;
  if (left_over(fd))
    (void)unlink_name(name);
  close(fd);
}

/*
 * Where files can get their name last, nobody finds one that is not ready, and
 * a creator that is killed meanwhile leaves none.
 */
#if defined __linux__ && defined O_TMPFILE

static int open_nameless(void) {
  return conc_unix_lift(open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

/* Needs no descriptor, so that a want of those is not taken for a yes. */
static bool is_taken(const char *name) {
  char path[sizeof "/dev/shm/" + CONC_NAME_MOST];
  struct stat file;
  (void)snprintf(path, sizeof path, "/dev/shm/%s", name);
  return lstat(path, &file) == 0;
}

static int give_name(int fd, const char *name) {
  char from[40], to[sizeof "/dev/shm/" + CONC_NAME_MOST];
  (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
  (void)snprintf(to, sizeof to, "/dev/shm/%s", name);
  int st = linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
  return st == 0 ? 0 : errno;
}

#else

static int open_nameless(void) { return -1; }

static bool is_taken(const char *name) {
  (void)name;
  return false;
}

static int give_name(int fd, const char *name) {
  (void)fd, (void)name;
  return ENOENT;
}

#endif

static apr_status_t new_named_last(conc_named *n, int fd, const char *name,
                                   const trailer *t) {
  remove_left_over(name);
  if (is_taken(name))
    return APR_EEXIST;
  if (t->owned)
    (void)flock(fd, LOCK_EX);
  apr_status_t st = fill(n, fd, t->size, t->owned);
  if (st == APR_SUCCESS && (st = give_name(fd, name)) != APR_SUCCESS)
    conc_sys_named_unmap(n);
  return st;
}

static apr_status_t new_named_first(conc_named *n, const char *name,
                                    size_t size, bool owned) {
  int fd = open_name(name, O_RDWR | O_CREAT | O_EXCL);
  if (fd < 0 && errno == EEXIST) {
    remove_left_over(name);
    fd = open_name(name, O_RDWR | O_CREAT | O_EXCL);
  }
  if (fd < 0)
    return errno;
  if (owned)
    (void)flock(fd, LOCK_EX);
  apr_status_t st = fill(n, fd, size, owned);
  if (st != APR_SUCCESS)
    (void)unlink_name(name);
  if (st == APR_SUCCESS && owned)
    n->map.handle = fd;
  else
    close(fd);
  return st;
}

apr_status_t conc_sys_named_new(conc_named *n, const char *name, size_t size,
                                bool owned) {
  const trailer t = {.size = size, .owned = owned};
  if (size > SIZE_MAX / 4)
    return APR_ENOSPC;
  int fd = open_nameless();
  if (fd < 0)
    return new_named_first(n, name, size, owned);
  apr_status_t st = new_named_last(n, fd, name, &t);
  if (st == APR_SUCCESS && owned)
    n->map.handle = fd;
  else
    close(fd);
  return st == ENOENT ? new_named_first(n, name, size, owned) /* no /proc */
                      : st;
}

/* ---- Finding ---- */

apr_status_t conc_sys_named_open(conc_named *n, const char *name) {
  trailer t;
  struct stat file;
  int fd = open_name(name, O_RDWR);
  if (fd < 0)
    return errno;
  apr_status_t st = fstat(fd, &file) == 0 ? APR_SUCCESS : errno;
  bool ours = st == APR_SUCCESS && read_trailer(fd, &t);
  if (st == APR_SUCCESS && file.st_size == 0)
    st = APR_ENOENT; /* its creator is not ready */
  if (st == APR_SUCCESS)
    st = map(n, fd, ours ? (size_t)t.size : (size_t)file.st_size,
             (size_t)file.st_size);
  n->id = ours ? t.id : 0;
  close(fd);
  return st;
}

void conc_sys_named_unmap(conc_named *n) {
  size_t all = n->id == 0 ? n->map.size : whole(n->map.size);
  (void)munmap(n->map.base, all);
  n->map.base = NULL;
}

apr_status_t conc_sys_named_remove(const char *name, uint64_t id) {
  trailer t;
  int fd = open_name(name, O_RDONLY);
  if (fd < 0)
    return errno;
  uint64_t found = read_trailer(fd, &t) ? t.id : 0;
  close(fd);
  return found == id ? unlink_name(name) : APR_ENOENT;
}

void conc_sys_named_forget(intptr_t handle) {
  if (handle != -1)
    (void)close((int)handle);
}

/* Other systems do not list what there is. */
bool conc_sys_named_lingers(void) {
#ifdef __linux__
  return true;
#else
  return false;
#endif
}

void conc_sys_named_sweep(void) {
#ifdef __linux__
  DIR *dir = opendir("/dev/shm");
  const struct dirent *entry;
  if (dir == NULL)
    return;
  while ((entry = readdir(dir)) != NULL)
    if (entry->d_type == DT_REG && strlen(entry->d_name) <= CONC_NAME_MOST)
      remove_left_over(entry->d_name);
  closedir(dir);
#endif
}
