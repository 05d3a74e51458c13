#include "core/blob.h"

#include <stdatomic.h>

#include "sys/sys.h"

static _Atomic uint64_t owner, last;
static _Atomic size_t alive;

/*
 * Numbers travel to other processes, so each process counts from somewhere
 * else; also one that was forked from another.
 */
static uint64_t beginning(uint64_t pid) {
  uint64_t h = (uint64_t)conc_sys_now() ^ pid << 40 ^ (uintptr_t)&h;
  for (int i = 0; i < 3; i++)
    h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
  return h >> 33 << 32;
}

uint64_t conc_blob_fresh_id(void) {
  uint64_t pid = conc_sys_pid(), before = atomic_load(&owner);
  if (before != pid && atomic_compare_exchange_strong(&owner, &before, pid))
    atomic_fetch_add(&last, beginning(pid));
  return atomic_fetch_add(&last, 1) + 1;
}

size_t conc_blob_count(void) {
  return atomic_load_explicit(&alive, memory_order_relaxed);
}

static void destroy(conc_obj *o) {
  conc_blob *b = (conc_blob *)o;
  atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
  conc_msg_fini(&b->msg);
  conc_obj_free(o);
}

const conc_class conc_blob_class = {"blob", destroy};

apr_status_t conc_blob_new(conc_blob **out, conc_blob_kind kind,
                           conc_msg *msg) {
  conc_blob *b = conc_obj_new(&conc_blob_class, sizeof *b);
  if (b == NULL)
    return APR_ENOMEM;
  atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
  b->kind = kind;
  b->id = conc_blob_fresh_id();
  b->msg = conc_msg_take(msg);
  *out = b;
  return APR_SUCCESS;
}
