/*
 * The floors under processes and named memory: the interpreter started with
 * nothing to do, and the calls that make a block of memory and map it.
 */
#include "floor.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { SIZE = 1 << 20 };

static char name[64];

static void spawn(long n) {
  char *argv[] = {(char *)"lua5.4", (char *)"-e", (char *)"", NULL};
  for (long i = 0; i < n; i++) {
    pid_t pid;
    int status;
    floor_check(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0,
                "posix_spawnp");
    floor_check(waitpid(pid, &status, 0) == pid && status == 0, "lua5.4");
  }
}

static void map(int fd) {
  char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  floor_check(p != MAP_FAILED, "mmap");
  munmap(p, SIZE);
}

/* Every page is there, so that a full memory is an error here. */
static void create(long n) {
  for (long i = 0; i < n; i++) {
    int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    floor_check(fd >= 0, "shm_open");
    floor_check(posix_fallocate(fd, 0, SIZE) == 0, "posix_fallocate");
    map(fd);
    close(fd);
    shm_unlink(name);
  }
}

static void attach(long n) {
  for (long i = 0; i < n; i++) {
    int fd = shm_open(name, O_RDWR, 0600);
    floor_check(fd >= 0, "shm_open");
    map(fd);
    close(fd);
  }
}

int main(void) {
  snprintf(name, sizeof name, "/conc-floor-%ld", (long)getpid());
  floor_print("process.spawn", floor_each(spawn, 50) * 1e3, "ms");
  floor_print("process.shm_create", floor_each(create, 200) * 1e6, "us");
  int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
  floor_check(fd >= 0 && ftruncate(fd, SIZE) == 0, "shm_open");
  floor_print("process.shm_attach", floor_each(attach, 2000) * 1e6, "us");
  close(fd);
  shm_unlink(name);
  return 0;
}
