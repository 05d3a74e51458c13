/*
 * What another process may have written into a ring: the words that say what
 * is in it, its chunks, the records.  Gets and puts give messages or errors,
 * and the end of the queue touches nothing but what is its own.
 *
 * Not tried: latches, which anybody may hold for ever; and offsets of blocks
 * that are there and belong to somebody else, which nobody can tell from one's
 * own.
 *
 * An input is a list of actions, a byte each and what it needs.
 */

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "ipc/chunk.h"
#include "ipc/squeue.h"

#include "../c/check.h"

enum { PUT, PUT_LONG, PUT_SHARED, GET, WORD, RECORD, HEADER, ACTIONS };

struct input {
  const uint8_t *p, *end;
};

static uint64_t take(struct input *in, unsigned bytes) {
  uint64_t v = 0;
  for (; bytes > 0; bytes--)
    v = v << 8 | (in->p < in->end ? *in->p++ : 0);
  return v;
}

static void put(conc_squeue *q, size_t size, bool with) {
  static unsigned char bytes[10000];
  conc_proxy *shared = &q->proxy;
  const conc_load l = {
    .data = bytes, .size = size, .shared = &shared, .nshared = with};
  (void)conc_ring_push(conc_squeue_of(q), &l, NULL, CONC_NOW);
}

static void get(conc_squeue *q) {
  static conc_item item;
  static volatile unsigned char sum;
  conc_proxy *met;
  if (conc_ring_pop(conc_squeue_of(q), &item, NULL, CONC_NOW) != APR_SUCCESS)
    return;
  for (size_t i = 0; i < item.size; i++)
    sum = (unsigned char)(sum + item.data[i]);
  for (uint32_t i = 0; i < item.nshared; i++)
    if (conc_item_shared(&item, i, &met) == APR_SUCCESS)
      conc_release(&met->obj);
  conc_item_fini(&item);
}

/* An offset of somebody else's block becomes another one. */
static uint64_t harmless(const conc_ring *r, uint64_t at) {
  bool ours = at == atomic_load(&r->first) || at == atomic_load(&r->put_at);
  return conc_heap_valid(at) && !ours ? at + 8 : at;
}

static uint64_t some_offset(const conc_ring *r, struct input *in) {
  uint64_t v = take(in, 4);
  switch (v % 4) {
  case 0: return atomic_load(&r->first);
  case 1: return atomic_load(&r->put_at);
  default: return harmless(r, v >> 2);
  }
}

/* The words that count, by small steps or to anything. */
static void change_word(conc_ring *r, struct input *in) {
  uint64_t which = take(in, 1), v = take(in, 8);
  _Atomic uint64_t *const counts[] = {&r->tail, &r->head, &r->intent};
  switch (which % 8) {
  case 0: atomic_store(&r->first, some_offset(r, in)); break;
  case 1: atomic_store(&r->put_at, some_offset(r, in)); break;
  case 2: atomic_store(&r->old, some_offset(r, in)); break;
  case 3: r->head_seen = v; break;
  case 4: r->tail_seen = v; break;
  case 5: atomic_store(&r->closed, (uint32_t)v & 3); break;
  case 6: atomic_fetch_add(counts[v % 3], (v >> 8) % 1024); break;
  default: atomic_store(counts[v % 3], v >> 8);
  }
}

static conc_chunk *chunk(const conc_ring *r) {
  return conc_chunk_at(atomic_load(&r->put_at));
}

static void change_record(conc_ring *r, struct input *in) {
  conc_chunk *c = chunk(r);
  if (c == NULL)
    return;
  conc_record *m = conc_record_at(c, (uint32_t)take(in, 2));
  m->size = (uint32_t)take(in, 4);
  m->units = (uint16_t)take(in, 2);
  m->kind = (uint8_t)take(in, 1) % 5;
  if (m->kind == CONC_PARCEL)
    atomic_store(&m->parcel, harmless(r, take(in, 4)));
}

static void change_header(conc_ring *r, struct input *in) {
  conc_chunk *c = chunk(r);
  if (c == NULL)
    return;
  switch (take(in, 1) % 4) {
  case 0: c->units = (uint32_t)take(in, 4); break;
  case 1: c->base = (uint32_t)take(in, 4); break;
  case 2: c->end = (uint32_t)take(in, 4); break;
  default: atomic_store(&c->next, some_offset(r, in));
  }
}

static void act(conc_squeue *q, struct input *in) {
  conc_ring *r = conc_squeue_of(q);
  switch (take(in, 1) % ACTIONS) {
  case PUT: put(q, (size_t)take(in, 2) % CONC_RING_INLINE, false); break;
  case PUT_LONG: put(q, 9000, false); break;
  case PUT_SHARED: put(q, 10, true); break;
  case GET: get(q); break;
  case WORD: change_word(r, in); break;
  case RECORD: change_record(r, in); break;
  default: change_header(r, in);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, data + size};
  conc_squeue *q;
  CHECK(conc_heap_open() == APR_SUCCESS);
  if (conc_squeue_new(&q, &conc_squeue_class, size % 3) != APR_SUCCESS)
    return 0;
  while (in.p < in.end)
    act(q, &in);
  conc_release(&q->proxy.obj);
  return 0;
}
