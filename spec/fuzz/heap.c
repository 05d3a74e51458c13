/*
 * References into the shared heap from another process, which may also have
 * written into objects and their headers: to take one up gives an object or an
 * error, its size is that of its block, and to let it go touches nothing but
 * what is its own.
 *
 * Not tried: latches, which anybody may hold for ever; the lists of free memory;
 * and blocks that are there and belong to somebody else, which nobody can tell
 * from one's own.
 *
 * An input is a list of actions, a byte each and what it needs.
 */

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "ipc/layout.h"
#include "ipc/parcel.h"
#include "ipc/sbarrier.h"
#include "ipc/scells.h"
#include "ipc/scondition.h"
#include "ipc/sevent.h"
#include "ipc/slock.h"
#include "ipc/smemory.h"
#include "ipc/spipe.h"
#include "ipc/squeue.h"
#include "ipc/srlock.h"
#include "ipc/ssemaphore.h"

#include "../c/check.h"

enum { MAKE, DROP, GET, HEADER, WORD, REFERENCE, ACTIONS, HELD = 16 };

struct input {
  const uint8_t *p, *end;
};

static conc_proxy *held[HELD];

static uint64_t take(struct input *in, unsigned bytes) {
  uint64_t v = 0;
  for (; bytes > 0; bytes--)
    v = v << 8 | (in->p < in->end ? *in->p++ : 0);
  return v;
}

static void keep(conc_proxy *p, unsigned i) {
  if (held[i % HELD] != NULL)
    conc_release(&held[i % HELD]->obj);
  held[i % HELD] = p;
}

/* ---- Objects ---- */

static conc_obj *made(unsigned kind) {
  union {
    conc_slock *lock;
    conc_srlock *rlock;
    conc_scondition *condition;
    conc_sevent *event;
    conc_sbarrier *barrier;
    conc_ssemaphore *semaphore;
    conc_scells *cells;
    conc_squeue *queue;
    conc_proxy *proxy;
    conc_obj *obj;
  } u = {0};
  conc_cells_conf conf = {.cls = &conc_sarray_class.cls, .n = 100};
  apr_status_t st;
  CHECK(conc_cell_parse("i", 1, &conf.type));
  switch (kind % 9) {
  case 0: st = conc_slock_new(&u.lock); break;
  case 1: st = conc_srlock_new(&u.rlock); break;
  case 2: st = conc_scondition_new(&u.condition, NULL); break;
  case 3: st = conc_sevent_new(&u.event); break;
  case 4: st = conc_sbarrier_new(&u.barrier, 2, 1); break;
  case 5:
    st = conc_ssemaphore_new(&u.semaphore, &conc_ssemaphore_class, 1);
    break;
  case 6: st = conc_scells_new(&u.cells, &conf); break;
  case 7: st = conc_squeue_new(&u.queue, &conc_squeue_class, 0); break;
  default:
    st = conc_parcel_new(&u.proxy, 100 * (kind + 1), kind % 5);
    if (st == APR_SUCCESS)
      conc_shared_publish(u.proxy);
  }
  return st == APR_SUCCESS ? u.obj : NULL;
}

static void make(struct input *in) {
  unsigned i = (unsigned)take(in, 1);
  keep((conc_proxy *)made((unsigned)take(in, 1)), i);
}

/* ---- References ---- */

static conc_proxy *some(struct input *in) { return held[take(in, 1) % HELD]; }

/* Any, or one near an object. */
static uint64_t offset(struct input *in) {
  uint64_t how = take(in, 1);
  const conc_proxy *p = some(in);
  if (how % 4 == 0)
    return take(in, 8);
  if (how % 4 == 1)
    return take(in, 3) * 64;
  uint64_t at = p == NULL ? 0 : conc_proxy_offset(p);
  return how % 4 == 2 ? at : at + take(in, 2) * 64;
}

static void get(struct input *in) {
  static volatile unsigned char sum;
  conc_proxy *p;
  unsigned i = (unsigned)take(in, 1);
  uint64_t at = offset(in);
  if (conc_shared_get(&p, at) != APR_SUCCESS)
    return;
  const unsigned char *bytes = p->at;
  size_t size = conc_heap_size(at);
  for (size_t k = 0; k < size; k++)
    sum = (unsigned char)(sum + bytes[k]);
  keep(p, i);
}

/* ---- Scribbling ---- */

static void change_header(struct input *in) {
  conc_proxy *p = some(in);
  if (p == NULL)
    return;
  conc_block *b = conc_block_at(conc_proxy_offset(p));
  uint64_t mark = atomic_load(&b->mark);
  switch (take(in, 1) % 4) {
  case 0: atomic_store(&b->link, take(in, 8)); break;
  case 1: atomic_store(&b->link, take(in, 2) * 64); break;
  case 2:
    atomic_store(&b->mark,
                 conc_mark(conc_mark_refs(mark), (uint16_t)take(in, 1),
                           conc_mark_bin(mark)));
    break;
  default:
    atomic_store(&b->mark,
                 conc_mark(conc_mark_refs(mark), conc_mark_class(mark),
                           (uint16_t)take(in, 2)));
  }
}

/* The first words of an object that has no latch there. */
static void change_word(struct input *in, uint64_t v) {
  conc_proxy *p = some(in);
  uint64_t at = take(in, 1) % 8;
  if (p == NULL || (p->obj.cls != &conc_parcel_class.cls &&
                    p->obj.cls != &conc_sarray_class.cls &&
                    p->obj.cls != &conc_scondition_class.cls))
    return;
  if (p->obj.cls == &conc_scondition_class.cls)
    atomic_store(&((conc_scondition_word *)p->at)->lock, v);
  else
    atomic_store((conc_ref *)p->at + at, v);
}

/* A reference to an object that this object does not hold would be one place
   too many: the object has it. */
static void change_reference(struct input *in) {
  uint64_t at = offset(in);
  if (conc_heap_valid(at)) {
    conc_block *b = conc_block_at(at);
    atomic_fetch_add(&b->mark, 1);
  }
  change_word(in, at);
}

static void act(struct input *in) {
  switch (take(in, 1) % ACTIONS) {
  case MAKE: make(in); break;
  case DROP: keep(NULL, (unsigned)take(in, 1)); break;
  case GET: get(in); break;
  case HEADER: change_header(in); break;
  case WORD: change_word(in, take(in, 8) | 1); break;
  default: change_reference(in);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, data + size};
  CHECK(conc_heap_open() == APR_SUCCESS);
  while (in.p < in.end)
    act(&in);
  for (unsigned i = 0; i < HELD; i++)
    keep(NULL, i);
  return 0;
}
