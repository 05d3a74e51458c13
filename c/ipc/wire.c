#include "ipc/wire.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "core/blob.h"

enum { CODE = 1, CLASS, SEEN, SHARED };

/* Classes in classes: no deeper in either direction (unpack.c). */
enum { MOST_NESTED = 100 };

/* Objects that were met, in order. */
struct seen {
  conc_obj **list;
  size_t n, room;
};

static bool remember(struct seen *s, conc_obj *o) {
  if (s->n == s->room) {
    size_t room = s->room == 0 ? 16 : 2 * s->room;
    conc_obj **list = conc_realloc(s->list, room * sizeof *list);
    if (list == NULL)
      return false;
    s->list = list;
    s->room = room;
  }
  s->list[s->n++] = o;
  return true;
}

/* ---- Writing ---- */

/* An error sticks: every later write does nothing. */
struct writer {
  unsigned char *data;
  size_t size, room;
  struct seen seen;
  struct seen shared; /* proxies, retained */
  apr_status_t st;
  const conc_class *culprit;
};

static unsigned char *reserve(struct writer *w, size_t n) {
  if (w->st == APR_SUCCESS && w->room - w->size < n) {
    size_t room = w->room * 2 < w->size + n ? w->size + n + 64 : w->room * 2;
    unsigned char *data = conc_realloc(w->data, room);
    if (data == NULL) {
      w->st = APR_ENOMEM;
    } else {
      w->data = data;
      w->room = room;
    }
  }
  if (w->st != APR_SUCCESS)
    return NULL;
  unsigned char *p = w->data + w->size;
  w->size += n;
  return p;
}

static void write_byte(struct writer *w, unsigned b) {
  unsigned char *p = reserve(w, 1);
  if (p != NULL)
    *p = (unsigned char)b;
}

static void write_varint(struct writer *w, uint64_t v) {
  for (; v >= 0x80; v >>= 7)
    write_byte(w, (unsigned)(v & 0x7f) | 0x80);
  write_byte(w, (unsigned)v);
}

static void write_id(struct writer *w, uint64_t id) {
  for (int i = 0; i < 8; i++)
    write_byte(w, (unsigned)(id >> (8 * i)) & 0xff);
}

static void write_parts(struct writer *w, const conc_wire_parts *m, int depth);

static void write_shared(struct writer *w, conc_obj *o) {
  size_t i = 0;
  while (i < w->shared.n && w->shared.list[i] != o)
    i++;
  if (i == w->shared.n) {
    if (!remember(&w->shared, o)) {
      w->st = APR_ENOMEM;
      return;
    }
    conc_retain(o);
  }
  write_byte(w, SHARED);
  write_varint(w, i);
}

static void write_reference(struct writer *w, conc_obj *o, int depth) {
  conc_blob *b = (conc_blob *)o;
  if (conc_is_proxy(o)) {
    write_shared(w, o);
    return;
  }
  if (o->cls != &conc_blob_class || depth == MOST_NESTED) {
    w->st = w->st == APR_SUCCESS ? CONC_MISUSE : w->st;
    w->culprit = o->cls;
    return;
  }
  for (size_t i = 0; i < w->seen.n; i++) {
    if (w->seen.list[i] == o) {
      write_byte(w, SEEN);
      write_varint(w, i);
      return;
    }
  }
  if (!remember(&w->seen, o))
    w->st = APR_ENOMEM;
  write_byte(w, b->kind == CONC_BLOB_CODE ? CODE : CLASS);
  write_id(w, b->id);
  const conc_wire_parts parts = conc_wire_parts_of(&b->msg);
  write_parts(w, &parts, depth + 1);
}

static void write_parts(struct writer *w, const conc_wire_parts *m, int depth) {
  write_varint(w, m->size);
  unsigned char *p = reserve(w, m->size);
  if (p != NULL && m->size != 0)
    memcpy(p, m->data, m->size);
  write_varint(w, m->nrefs);
  for (uint32_t i = 0; i < m->nrefs && w->st == APR_SUCCESS; i++)
    write_reference(w, m->refs[i], depth);
}

apr_status_t conc_wire_encode(conc_wire *out, conc_msg *m,
                              const conc_class **what) {
  const conc_wire_parts parts = conc_wire_parts_of(m);
  return conc_wire_encode_parts(out, &parts, what);
}

apr_status_t conc_wire_encode_parts(conc_wire *out, const conc_wire_parts *m,
                                    const conc_class **what) {
  struct writer w = {.st = APR_SUCCESS};
  write_parts(&w, m, 0);
  conc_free(w.seen.list);
  /* What was retained is a list of proxies. */
  *out = (conc_wire){w.data, w.size, (conc_proxy **)(void *)w.shared.list,
                     (uint32_t)w.shared.n};
  if (w.st != APR_SUCCESS) {
    conc_wire_fini(out);
    *what = w.culprit;
  }
  return w.st;
}

void conc_wire_fini(conc_wire *w) {
  for (uint32_t i = 0; i < w->nshared; i++)
    conc_release(&w->shared[i]->obj);
  conc_free(w->shared);
  conc_free(w->data);
  *w = (conc_wire){0};
}

/* ---- Reading ---- */

struct reader {
  const unsigned char *p, *end;
  struct seen seen; /* a reference each */
  const conc_wire *wire;
  bool refs;
};

static bool read_bytes(struct reader *r, size_t n, const unsigned char **out) {
  if ((size_t)(r->end - r->p) < n)
    return false;
  *out = r->p;
  r->p += n;
  return true;
}

static bool read_varint(struct reader *r, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 64 && r->p < r->end; shift += 7) {
    unsigned b = *r->p++;
    *v |= (uint64_t)(b & 0x7f) << shift;
    if (b < 0x80)
      return true;
  }
  return false;
}

static apr_status_t read_message(struct reader *r, conc_msg *m, int depth);

static apr_status_t read_blob(struct reader *r, conc_blob_kind kind,
                              conc_obj **out, int depth) {
  const unsigned char *id;
  conc_msg m;
  conc_blob *b;
  if (!read_bytes(r, 8, &id) || depth == MOST_NESTED)
    return APR_EINVAL;
  size_t place = r->seen.n;
  if (!remember(&r->seen, NULL)) /* those inside come after it */
    return APR_ENOMEM;
  apr_status_t st = read_message(r, &m, depth + 1);
  if (st != APR_SUCCESS)
    return st;
  st = conc_blob_new(&b, kind, &m);
  if (st != APR_SUCCESS) {
    conc_msg_fini(&m);
    return st;
  }
  b->id = 0;
  for (int i = 0; i < 8; i++)
    b->id |= (uint64_t)id[i] << (8 * i);
  r->seen.list[place] = conc_retain(&b->obj);
  *out = &b->obj;
  return APR_SUCCESS;
}

static apr_status_t read_reference(struct reader *r, conc_obj **out,
                                   int depth) {
  const unsigned char *kind;
  uint64_t i;
  if (!read_bytes(r, 1, &kind))
    return APR_EINVAL;
  if (*kind == CODE || *kind == CLASS)
    return read_blob(r, *kind == CODE ? CONC_BLOB_CODE : CONC_BLOB_CLASS, out,
                     depth);
  if (!read_varint(r, &i))
    return APR_EINVAL;
  if (*kind == SEEN && i < r->seen.n && r->seen.list[i] != NULL)
    *out = conc_retain(r->seen.list[i]);
  else if (*kind == SHARED && i < r->wire->nshared)
    *out = conc_retain(&r->wire->shared[i]->obj);
  else
    return APR_EINVAL;
  return APR_SUCCESS;
}

static apr_status_t read_references(struct reader *r, conc_obj **list,
                                    uint32_t n, int depth) {
  for (uint32_t i = 0; i < n; i++) {
    apr_status_t st = read_reference(r, &list[i], depth);
    if (st != APR_SUCCESS) {
      while (i > 0)
        conc_release(list[--i]);
      return st;
    }
  }
  return APR_SUCCESS;
}

/* A reference takes two bytes at least. */
static bool believable(const struct reader *r, uint64_t n) {
  return n <= (uint64_t)(r->end - r->p) / 2 && n <= UINT32_MAX;
}

static apr_status_t read_message(struct reader *r, conc_msg *m, int depth) {
  uint64_t size, n;
  const unsigned char *bytes;
  conc_obj **list = NULL;
  *m = (conc_msg){0};
  if (!read_varint(r, &size) || size > SIZE_MAX ||
      !read_bytes(r, (size_t)size, &bytes) || !read_varint(r, &n) ||
      !believable(r, n))
    return APR_EINVAL;
  if (n != 0 && !r->refs)
    return APR_EACCES;
  if (n != 0 && (list = conc_alloc((size_t)n * sizeof *list)) == NULL)
    return APR_ENOMEM;
  apr_status_t st = read_references(r, list, (uint32_t)n, depth);
  if (st == APR_SUCCESS) {
    st = conc_msg_make(m, bytes, (size_t)size, list, (uint32_t)n);
    for (uint32_t i = 0; st != APR_SUCCESS && i < n; i++)
      conc_release(list[i]);
  }
  conc_free(list);
  return st;
}

apr_status_t conc_wire_decode(conc_msg *m, const conc_wire *w, bool refs) {
  struct reader r = {.p = w->data, .end = w->data, .wire = w, .refs = refs};
  if (w->size != 0)
    r.end += w->size;
  apr_status_t st = read_message(&r, m, 0);
  if (st == APR_SUCCESS && r.p != r.end) {
    conc_msg_fini(m);
    st = APR_EINVAL;
  }
  for (size_t i = 0; i < r.seen.n; i++)
    if (r.seen.list[i] != NULL)
      conc_release(r.seen.list[i]);
  conc_free(r.seen.list);
  return st;
}
