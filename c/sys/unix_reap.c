/* Helper threads; one waits for one child, where no descriptor tells of its
   end. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "sys/process.h"
#include "sys/unix.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

enum { STACK = 256 << 10 };

static void *wait_for(void *arg) {
  conc_sys_child *c = arg;
  siginfo_t info;
  conc_sys_name_thread("conc reaper");
  while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR)
    ;
  c->ended(c);
  return NULL;
}

apr_status_t conc_sys_helper(void *(*run)(void *), void *arg) {
  struct conc_sys_mask mask;
  pthread_attr_t attr;
  pthread_t thread;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  conc_sys_mask_signals(&mask); /* none of a host's handlers runs there */
  int error = pthread_create(&thread, &attr, run, arg);
  conc_sys_unmask_signals(&mask);
  pthread_attr_destroy(&attr);
  return error;
}

apr_status_t conc_unix_child_thread(conc_sys_child *c) {
  return conc_sys_helper(wait_for, c);
}
