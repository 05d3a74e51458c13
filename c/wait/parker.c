#include "wait/parker.h"

#include "base/mem.h"
#include "base/status.h"
#include "sys/shm.h"
#include "wait/mutex.h"
#include "wait/spin.h"

/*
 * The thread parker.  'state' is EMPTY while its owner runs, PARKED while it
 * sleeps or is about to, NOTIFIED when an unpark has not been seen yet.
 *
 * No unpark is lost: the owner announces PARKED with an exchange and sleeps
 * only while the word still says so; the waker's exchange either comes before
 * (the owner sees NOTIFIED and does not sleep) or after (the waker sees PARKED
 * and wakes).  Both are seq_cst, so what the waker wrote before it is seen.
 */
enum { EMPTY, PARKED, NOTIFIED };

static void park(conc_parker *p, conc_time until) {
  if (atomic_exchange(&p->state, PARKED) != NOTIFIED) {
    int64_t left = -1;
    if (until != CONC_FOREVER) {
      left = until - conc_sys_now();
      left = left < 0 ? 0 : left;
    }
    conc_sys_wait(&p->state, PARKED, left);
  }
  atomic_exchange(&p->state, EMPTY);
}

static void unpark(conc_parker *p) {
  if (atomic_exchange(&p->state, NOTIFIED) == PARKED)
    conc_sys_wake(&p->state, false);
}

static const conc_parker_class thread_parker = {park, unpark};

static struct {
  conc_word lock;
  conc_parker *free; /* [l] */
} pool;

static _Atomic uint64_t lives;

void conc_parker_begin(conc_parker *p) {
  p->life = atomic_fetch_add(&lives, 1) + 1;
}

conc_parker *conc_parker_new(void) {
  conc_mutex_lock(&pool.lock);
  conc_parker *p = pool.free;
  if (p != NULL)
    pool.free = p->next;
  conc_mutex_unlock(&pool.lock);
  if (p == NULL) {
    p = conc_alloc(sizeof *p);
    if (p == NULL)
      return NULL;
    atomic_init(&p->state, EMPTY);
    atomic_init(&p->cancel, 0);
    atomic_init(&p->asked, 0);
    atomic_init(&p->wait, CONC_WAIT_KIND + 1); /* never 'doomed' */
    atomic_init(&p->look, 0);
    atomic_init(&p->vouched, 0);
    atomic_init(&p->doomed, 0);
    p->noted = 0;
    p->about[0] = '\0';
    atomic_init(&p->foreign, NULL);
    atomic_init(&p->looks, 0);
  }
  conc_parker_begin(p);
  p->cls = &thread_parker;
  p->shield = 0;
  p->deaf = 0;
  p->spin = CONC_SPIN_MOST;
  p->spins = 0;
  p->dice = 0;
  p->poll = NULL;
  p->arg = NULL;
  p->sliced = false;
  p->idle = false;
  p->abroad = false;
  p->next = NULL;
  atomic_store(&p->cancel, 0);
  atomic_store(&p->asked, 0);
  return p;
}

void conc_parker_free(conc_parker *p) {
  if (p == NULL)
    return;
  conc_mutex_lock(&pool.lock);
  p->next = pool.free;
  pool.free = p;
  conc_mutex_unlock(&pool.lock);
}

/* How often a wait asks its parker's poll: a person does not notice. */
static const int64_t SLICE = 50000000;

apr_status_t conc_parker_expired(const conc_parker *p, conc_time deadline) {
  if (p->shield == 0 && atomic_load(&p->cancel) != 0)
    return CONC_CANCELLED;
  if (deadline != CONC_FOREVER && conc_sys_now() >= deadline)
    return APR_TIMEUP;
  if (p->poll != NULL && p->poll(p->arg) && p->deaf == 0)
    return CONC_INTERRUPTED;
  return APR_SUCCESS;
}

conc_time conc_parker_slice(const conc_parker *p, conc_time deadline) {
  if (!p->sliced)
    return deadline;
  conc_time soon = conc_sys_now() + SLICE;
  return soon < deadline ? soon : deadline;
}

/*
 * Between its last look at what is asked of it and its falling asleep on a
 * foreign word the owner cannot be woken; so it is woken until it has looked
 * once more, or left that word.
 */
static void rouse(conc_parker *p) {
  conc_word *w;
  p->cls->unpark(p);
  uint32_t looks = atomic_load(&p->looks);
  while ((w = atomic_load(&p->foreign)) != NULL &&
         atomic_load(&p->looks) == looks) {
    (void)conc_sys_wake_shared(w, true);
    conc_sys_yield();
  }
}

void conc_parker_cancel(conc_parker *p) {
  atomic_store(&p->cancel, 1);
  rouse(p);
}

void conc_parker_ask(conc_parker *p, uint32_t what) {
  atomic_fetch_or(&p->asked, what);
  rouse(p);
}

bool conc_parker_answer(conc_parker *p, uint32_t what) {
  /* Relaxed is enough to see nothing: what is missed is seen next time. */
  return (atomic_load_explicit(&p->asked, memory_order_relaxed) & what) != 0 &&
         (atomic_fetch_and(&p->asked, ~what) & what) != 0;
}
