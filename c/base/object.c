#include "base/object.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/*
 * The count of live objects is spread over lines of their own, so that two
 * threads that make and free objects do not fight for one.
 */
enum { NSHARDS = 16 };

struct shard {
  _Alignas(CONC_LINE) _Atomic int64_t n;
};

static struct shard live[NSHARDS];

/* Stacks lie far apart: the address of a local tells threads apart. */
static void count(int64_t by) {
  char here;
  size_t shard = ((uintptr_t)&here >> 20) * 7 % NSHARDS;
  atomic_fetch_add_explicit(&live[shard].n, by, memory_order_relaxed);
}

int64_t conc_obj_count(void) {
  int64_t sum = 0;
  for (int i = 0; i < NSHARDS; i++)
    sum += atomic_load_explicit(&live[i].n, memory_order_relaxed);
  return sum;
}

void conc_obj_init(conc_obj *o, const conc_class *cls) {
  o->cls = cls;
  atomic_init(&o->refs, 1);
  count(1);
}

void conc_obj_fini(conc_obj *o) {
  (void)o;
  count(-1);
}

void *conc_obj_new(const conc_class *cls, size_t size) {
  conc_obj *o = conc_alloc(size);
  if (o == NULL)
    return NULL;
  memset(o, 0, size);
  conc_obj_init(o, cls);
  return o;
}

void conc_obj_free(conc_obj *o) {
  conc_obj_fini(o);
  conc_free(o);
}

/*
 * A queue of queues of queues is destroyed from the outside in.  What a
 * destroy releases is put on the list of the destroy at the bottom of the
 * stack, so that no chain of objects, however long, recurses.
 */
static _Thread_local struct {
  bool active;
  conc_obj *list;
} doom;

static void destroy(conc_obj *o) {
  if (doom.active) {
    o->doomed = doom.list;
    doom.list = o;
    return;
  }
  doom.active = true;
  o->cls->destroy(o);
  while ((o = doom.list) != NULL) {
    doom.list = o->doomed;
    o->cls->destroy(o);
  }
  doom.active = false;
}

void conc_release(conc_obj *o) {
  if (o == NULL)
    return;
  /* acq_rel: the last one out must see everything the others wrote. */
  if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
    destroy(o);
}

void conc_release_many(conc_obj *o, uint32_t n) {
  if (n != 0 && /* acq_rel: as above */
      atomic_fetch_sub_explicit(&o->refs, n, memory_order_acq_rel) == n)
    destroy(o);
}
