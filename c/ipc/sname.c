#include "ipc/sname.h"

#include <string.h>

#include "base/mem.h"
#include "wait/mutex.h"

/* The object in the ledger; destroying it removes the name. */
typedef struct word {
  uint64_t id;
  char name[CONC_NAME_MOST + 1];
} word;

static void destroy(void *object) {
  word *w = object;
  w->name[CONC_NAME_MOST] = '\0';
  if (w->id != 0)
    (void)conc_sys_named_remove(w->name, w->id);
}

const conc_shared_class conc_sname_class = {.cls = {"Name", NULL},
                                            .id = CONC_SHARED_NAME,
                                            .least = sizeof(word),
                                            .destroy = destroy};

/* [c] constant while in the list   [l] under 'lock' */
typedef struct entry {
  conc_ref *place; /* [c] */
  uint64_t id;     /* [c] */
  intptr_t handle; /* [c] */
  const void *family;
  struct entry *next; /* [l] */
} entry;

static struct {
  conc_word lock;
  entry *first; /* [l] */
} kept;

static apr_status_t write_down(conc_ref *place, const conc_named *n,
                               const char *name) {
  apr_status_t st = conc_heap_alloc(place, sizeof(word));
  if (st != APR_SUCCESS)
    return st;
  word *w = conc_heap_at(atomic_load(place));
  memset(w, 0, sizeof *w);
  strncpy(w->name, name, CONC_NAME_MOST);
  w->id = n->id;
  conc_shared_brand(atomic_load(place), CONC_SHARED_NAME);
  return APR_SUCCESS;
}

apr_status_t conc_sname_keep(const conc_named *n, const char *name,
                             const void *family) {
  entry *e = conc_alloc(sizeof *e);
  if (e == NULL)
    return APR_ENOMEM;
  *e = (entry){.id = n->id, .handle = n->map.handle, .family = family};
  apr_status_t st = CONC_EXHAUSTED;
  if ((e->place = conc_ledger_get()) == NULL)
    goto free_entry;
  if ((st = write_down(e->place, n, name)) != APR_SUCCESS)
    goto put_place;
  conc_mutex_lock(&kept.lock);
  e->next = kept.first;
  kept.first = e;
  conc_mutex_unlock(&kept.lock);
  return APR_SUCCESS;

put_place:
  conc_ledger_put(e->place);
free_entry:
  conc_free(e);
  return st;
}

/* Take out those that are of 'family', or have that id. */
static entry *take(const void *family, uint64_t id) {
  entry *taken = NULL;
  conc_mutex_lock(&kept.lock);
  for (entry **link = &kept.first; *link != NULL;) {
    entry *e = *link;
    if (family != NULL ? e->family == family : e->id == id) {
      *link = e->next;
      e->next = taken;
      taken = e;
    } else {
      link = &e->next;
    }
  }
  conc_mutex_unlock(&kept.lock);
  return taken;
}

static void drop(entry *e) {
  while (e != NULL) {
    entry *next = e->next;
    conc_shared_drop(e->place);
    conc_ledger_put(e->place);
    conc_sys_named_forget(e->handle);
    conc_free(e);
    e = next;
  }
}

apr_status_t conc_sname_remove(const char *name, uint64_t id) {
  apr_status_t st = conc_sys_named_remove(name, id);
  entry *mine = id == 0 ? NULL : take(NULL, id);
  if (mine != NULL && st != APR_SUCCESS && !APR_STATUS_IS_ENOENT(st)) {
    conc_sys_named_forget(mine->handle); /* it may be a descriptor that lacks */
    mine->handle = -1;
    st = conc_sys_named_remove(name, id);
  }
  drop(mine);
  return st;
}

void conc_sname_close(const void *family) { drop(take(family, 0)); }
