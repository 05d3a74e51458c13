#ifndef CONC_CARRIER_H
#define CONC_CARRIER_H

/*
 * OS threads, which carry one job after another.  A thread of conc that ends
 * gives its carrier back; the next one to start finds it warm, with what the
 * crew's 'prepare' made ahead on the carrier's own time (a Lua state).  An
 * idle carrier leaves after a while.
 */

#include <apr_errno.h>
#include <stdbool.h>

#include "wait/parker.h"

typedef struct conc_crew conc_crew;

typedef struct conc_crew_conf {
  /* Make something for the next job, or NULL.  Runs in an idle carrier. */
  void *(*prepare)(void *arg);
  /* Undo it, when no next job came. */
  void (*discard)(void *prepared);
  void *arg;
} conc_crew_conf;

/* One job: run(arg, prepared) is called once, in a carrier, with its parker. */
typedef struct conc_job {
  void (*run)(void *arg, void *prepared, conc_parker *self);
  void *arg;
  size_t stack; /* bytes; 0: the default */
} conc_job;

apr_status_t conc_crew_new(conc_crew **out, const conc_crew_conf *conf);

/*
 * Run the job in a carrier of the crew.  APR_SUCCESS: it will run.  Otherwise
 * it never will: APR_ENOMEM, APR_EAGAIN and the like from the system,
 * CONC_CLOSED after conc_crew_close, CONC_MISUSE in a process that was forked
 * after the crew's first thread had started.
 */
apr_status_t conc_crew_run(conc_crew *c, const conc_job *job);

/* Was this process forked after the crew's first thread had started?  Then it
   has none of them: whoever waits for one waits for nobody. */
bool conc_crew_forked(const conc_crew *c);

/*
 * No more jobs.  Carriers end and are joined as they become idle, until
 * 'deadline'; those that are at work then will end and free themselves.
 */
void conc_crew_close(conc_crew *c, conc_parker *self, conc_time deadline);

/* Give up the owner's reference; the crew goes with its last carrier. */
void conc_crew_release(conc_crew *c);

#endif
