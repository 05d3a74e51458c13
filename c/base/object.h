#ifndef CONC_OBJECT_H
#define CONC_OBJECT_H

/*
 * A refcounted object: the head of everything that several threads, queues or
 * Lua states hold at once.  Its class is its type.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that two processors cannot write at once without waiting. */
enum { CONC_LINE = 64 };

typedef struct conc_obj conc_obj;

typedef struct conc_class {
  const char *name; /* as users know it: "Queue" */
  /* Free the object; the count is 0.  Never blocks: a collector may call it. */
  void (*destroy)(conc_obj *o);
} conc_class;

/* [c] constant after new   [a] atomic   [d] of the destroying thread */
struct conc_obj {
  const conc_class *cls; /* [c] */
  conc_obj *doomed;      /* [d] the next to destroy */
  _Atomic uint32_t refs; /* [a] */
};

/* Begin and end an object that lives inside of something else. */
void conc_obj_init(conc_obj *o, const conc_class *cls);
void conc_obj_fini(conc_obj *o);

/* Memory for an object of 'size' bytes, zeroed, one reference; or NULL. */
void *conc_obj_new(const conc_class *cls, size_t size);

/* Give the memory back: the last act of every destroy. */
void conc_obj_free(conc_obj *o);

/* One reference more; returns 'o'. */
static inline conc_obj *conc_retain(conc_obj *o) {
  /* Relaxed: who retains holds a reference, so nothing can be freed. */
  atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
  return o;
}

/* One reference less; the last one destroys.  NULL is ignored. */
void conc_release(conc_obj *o);

/* Several at once; 'o' may be NULL when n is 0. */
static inline void conc_retain_many(conc_obj *o, uint32_t n) {
  atomic_fetch_add_explicit(&o->refs, n, memory_order_relaxed); /* as above */
}
void conc_release_many(conc_obj *o, uint32_t n);

/* Objects alive in this process, for leak checks. */
int64_t conc_obj_count(void);

#endif
