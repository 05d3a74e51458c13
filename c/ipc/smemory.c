#include "ipc/smemory.h"

#include <stdio.h>
#include <string.h>

#include "ipc/sname.h"

/* The object.  [c] constant once published */
typedef struct word {
  uint64_t id;                   /* [c] */
  char name[CONC_NAME_MOST + 1]; /* [c] */
} word;

static word *word_of(const conc_smemory *m) { return m->proxy.at; }

/* ---- Life ---- */

static apr_status_t open_memory(conc_proxy *p) {
  conc_smemory *m = (conc_smemory *)p;
  const word *w = p->at;
  if (memchr(w->name, 0, sizeof w->name) == NULL ||
      strchr(w->name, '/') != NULL)
    return CONC_CORRUPT;
  apr_status_t st = conc_sys_named_open(&m->block, w->name);
  if (st == APR_SUCCESS && m->block.id != w->id) {
    conc_sys_named_unmap(&m->block);
    st = APR_ENOENT; /* another one has that name now */
  }
  return st;
}

static void close_memory(conc_proxy *p) {
  conc_smemory *m = (conc_smemory *)p;
  if (m->block.map.base != NULL)
    conc_sys_named_unmap(&m->block);
}

const conc_shared_class conc_smemory_class = {
  .cls = {"SharedMemory", conc_proxy_destroy},
  .id = CONC_SHARED_MEMORY,
  .size = sizeof(conc_smemory),
  .least = sizeof(word),
  .open = open_memory,
  .close = close_memory};

/* An object without a block. */
static apr_status_t make(conc_smemory **out, const char *name) {
  conc_proxy *p;
  apr_status_t st = conc_shared_new(&p, &conc_smemory_class, sizeof(word));
  if (st != APR_SUCCESS)
    return st;
  strncpy(((word *)p->at)->name, name, CONC_NAME_MOST);
  *out = (conc_smemory *)p;
  return APR_SUCCESS;
}

/* Leftovers of programs that were killed are removed now and then. */
static void make_up(char *name, size_t size) {
  static conc_word count;
  if (atomic_fetch_add(&count, 1) % 64 == 0)
    conc_sys_named_sweep();
  (void)snprintf(name, size, "conc-%x-%x", (unsigned)conc_sys_pid(),
                 (unsigned)(conc_sys_now() / 1000) ^ atomic_load(&count) << 20);
}

static apr_status_t make_block(conc_smemory *m, const conc_smemory_conf *conf) {
  word *w = word_of(m);
  apr_status_t st;
  do {
    if (conf->name == NULL)
      make_up(w->name, sizeof w->name);
    st = conc_sys_named_new(&m->block, w->name, conf->size, conf->owned);
  } while (conf->name == NULL && APR_STATUS_IS_EEXIST(st));
  if (APR_STATUS_IS_ENOSPC(st) || APR_STATUS_IS_ENOMEM(st))
    return CONC_EXHAUSTED;
  w->id = m->block.id;
  return st;
}

apr_status_t conc_smemory_new(conc_smemory **out,
                              const conc_smemory_conf *conf) {
  conc_smemory *m;
  apr_status_t st = make(&m, conf->name == NULL ? "" : conf->name);
  if (st != APR_SUCCESS)
    return st;
  if ((st = make_block(m, conf)) != APR_SUCCESS)
    goto release;
  if (conf->owned)
    st = conc_sname_keep(&m->block, word_of(m)->name, conf->family);
  if (st != APR_SUCCESS)
    goto remove;
  conc_shared_publish(&m->proxy);
  *out = m;
  return APR_SUCCESS;

remove:
  (void)conc_sys_named_remove(word_of(m)->name, m->block.id);
  conc_sys_named_forget(m->block.map.handle);
release:
  conc_release(&m->proxy.obj);
  return st;
}

apr_status_t conc_smemory_attach(conc_smemory **out, const char *name) {
  conc_smemory *m;
  apr_status_t st = make(&m, name);
  if (st != APR_SUCCESS)
    return st;
  st = conc_sys_named_open(&m->block, name);
  if (st != APR_SUCCESS) {
    conc_release(&m->proxy.obj);
    return st;
  }
  word_of(m)->id = m->block.id;
  conc_shared_publish(&m->proxy);
  *out = m;
  return APR_SUCCESS;
}

apr_status_t conc_smemory_unlink(conc_smemory *m) {
  return conc_sname_remove(word_of(m)->name, m->block.id);
}

const char *conc_smemory_name(const conc_smemory *m) {
  return word_of(m)->name;
}
