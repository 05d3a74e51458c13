#ifndef CONC_SHARED_H
#define CONC_SHARED_H

/*
 * Objects in the shared heap.  An object is a block with a class; places hold
 * it (conc_ref, see heap.h), and it goes with the last of them, wherever that
 * was.  In each process that holds it there is one proxy: an ordinary conc_obj
 * with a place in the process's ledger, so that all the layers above treat it
 * as any other object, and one object met twice is the same proxy.
 *
 * What lies in the object is for its class.  A class must expect that any
 * process dies in any of its operations, and uses a txn or a robust latch of
 * its own, or single words.
 *
 * Life:
 *   conc_shared_new      a proxy of a block without a class, zeros
 *   (fill it)
 *   conc_shared_publish  now it has the class
 *   conc_shared_put      one place more holds it: in a queue's item, in another
 *                        object ...
 *   conc_shared_get      in the process that reads that place: its proxy
 *   conc_shared_drop     one place less
 */

#include <apr_errno.h>

#include "base/object.h"
#include "base/status.h"
#include "ipc/heap.h"

/* What every proxy begins with.
   [c] constant after publish   [t] under the lock of the table of proxies */
typedef struct conc_proxy {
  conc_obj obj;
  void *at;                /* [c] the object */
  conc_ref *place;         /* [c] this process's */
  struct conc_proxy *next; /* [t] */
  bool known;              /* [t] it is in the table */
} conc_proxy;

/* Numbers of classes; other processes know them.  Append only. */
typedef enum {
  CONC_SHARED_BYTES, /* no class: a block without a proxy */
  CONC_SHARED_PARCEL,
  CONC_SHARED_LOCK,
  CONC_SHARED_RLOCK,
  CONC_SHARED_SEMAPHORE,
  CONC_SHARED_BOUNDED,
  CONC_SHARED_EVENT,
  CONC_SHARED_TURN,
  CONC_SHARED_CONDITION,
  CONC_SHARED_BARRIER,
  CONC_SHARED_VALUE,
  CONC_SHARED_ARRAY,
  CONC_SHARED_QUEUE,
  CONC_SHARED_JOINABLE,
  CONC_SHARED_SIMPLE,
  CONC_SHARED_NAME,
  CONC_SHARED_MEMORY,
  CONC_SHARED_PIPE,
  CONC_SHARED_PIPE_END,
  CONC_SHARED_LANE,
  CONC_SHARED_STAKE,
  CONC_SHARED_CLASSES
} conc_shared_id;

typedef struct conc_shared_class {
  conc_class cls;    /* of the proxies; destroy is conc_proxy_destroy */
  conc_shared_id id; /* == index in conc_shared_classes */
  size_t size;       /* of a proxy, which begins with a conc_proxy; 0: there
                        are none, objects of it are only known by places */
  size_t least;      /* bytes that an object has at least */
  /* Fill in the rest of a proxy that was met; may be NULL.  CONC_CORRUPT: the
     object makes no sense. */
  apr_status_t (*open)(conc_proxy *p);
  /* Give back what open or the constructor took; may be NULL. */
  void (*close)(conc_proxy *p);
  /* Drop every place in the object; nobody else has it.  May be NULL.  Is done
     again from the start when the process that does it dies. */
  void (*destroy)(void *object);
} conc_shared_class;

/* Every class, by number (classes.c). */
extern const conc_shared_class *const conc_shared_classes[CONC_SHARED_CLASSES];

/* Is the object a proxy?  Then it can leave the process. */
bool conc_is_proxy(const conc_obj *o);

/* The destroy of every proxy's class. */
void conc_proxy_destroy(conc_obj *o);

static inline uint64_t conc_proxy_offset(const conc_proxy *p) {
  return conc_heap_offset(p->at);
}

/*
 * A proxy, one reference, of a new object of 'size' bytes, all zeros, which is
 * only this process's until it is published.  Opens the heap.  APR_ENOMEM,
 * CONC_EXHAUSTED.
 */
apr_status_t conc_shared_new(conc_proxy **out, const conc_shared_class *cls,
                             size_t size);

/* The same without zeros, for what will be written from end to end. */
apr_status_t conc_shared_new_raw(conc_proxy **out, const conc_shared_class *cls,
                                 size_t size);

void conc_shared_publish(conc_proxy *p);

/* The same for a block from conc_heap_alloc, of a class without proxies. */
void conc_shared_brand(uint64_t offset, conc_shared_id id);

/* The class of an object, which somebody holds. */
conc_shared_id conc_shared_class_of(uint64_t offset);

/* *place, which was 0, holds the object too. */
void conc_shared_put(conc_ref *place, const conc_proxy *p);

/*
 * The proxy of the object at 'offset', retained.  Somebody holds the object
 * meanwhile: the place that the offset was read from, or its sender.
 * CONC_CORRUPT: there is no such object; APR_ENOMEM, CONC_EXHAUSTED.
 */
apr_status_t conc_shared_get(conc_proxy **out, uint64_t offset);

/* *place holds nothing any more.  The last one destroys.  0 is ignored. */
void conc_shared_drop(conc_ref *place);

#endif
