#include "core/group.h"

#include "base/mem.h"
#include "wait/lot.h"

/* [c] constant once it is in the list   [a] atomic */
struct conc_member {
  conc_link link;
  conc_group *group;    /* [c] a reference while it is linked */
  conc_future *future;  /* [c] a reference */
  conc_member *next;    /* [c] */
  conc_member *hope;    /* [o] of the owner: the next one to try, see claim */
  size_t number;        /* [c] */
  _Atomic size_t ended; /* [a] as the how-manieth; 0: not yet */
};

/*
 * Members are only added, at the head of the list, by the owner; so anybody
 * walks over it without a lock, and who cancels everything while one is added
 * is followed by the adder, which looks at 'cancelled' after it has put its
 * member there (seq_cst both).
 *
 * A linked member holds the group, and the group its members; the circle ends
 * with each future's end.
 *   [a] atomic   [c] constant   [o] owner only
 */
struct conc_group {
  conc_obj obj;
  conc_group_policy policy;     /* [c] */
  _Atomic(conc_member *) first; /* [a] */
  conc_word open;      /* [a] members not done; the owner sleeps on it */
  conc_word cancelled; /* [a] */
  conc_word late;      /* [a] */
  _Atomic size_t ends; /* [a] how many have ended */
  size_t n;            /* [o] */
  conc_obj *kept;      /* [o] a reference, or NULL */
  conc_member *hopes;  /* [o] those that claim has not tried yet */
};

static void destroy(conc_obj *o) {
  conc_group *g = (conc_group *)o;
  for (conc_member *m = atomic_load(&g->first), *next; m != NULL; m = next) {
    next = m->next;
    conc_release(&m->future->obj);
    conc_free(m);
  }
  conc_release(g->kept);
  conc_obj_free(o);
}

const conc_class conc_group_class = {"task group", destroy};

apr_status_t conc_group_new(conc_group **out, conc_group_policy policy) {
  conc_group *g = conc_obj_new(&conc_group_class, sizeof *g);
  if (g == NULL)
    return APR_ENOMEM;
  g->policy = policy;
  *out = g;
  return APR_SUCCESS;
}

void conc_group_cancel(conc_group *g) {
  if (atomic_exchange(&g->cancelled, 1) != 0)
    return;
  for (conc_member *m = atomic_load(&g->first); m != NULL; m = m->next)
    (void)conc_future_stop(m->future, CONC_ASK_CANCEL);
}

void conc_group_late(conc_group *g) {
  atomic_store(&g->late, 1);
  conc_group_cancel(g);
}

bool conc_group_is_late(const conc_group *g) {
  return atomic_load(&g->late) != 0;
}

/* Does the end of f decide the matter? */
static bool decides(const conc_group *g, const conc_future *f) {
  conc_future_state how = conc_future_is(f);
  return (g->policy == CONC_GROUP_ALL && how == CONC_FUTURE_FAILED) ||
         (g->policy == CONC_GROUP_FIRST && how == CONC_FUTURE_FINISHED);
}

static void ended(conc_link *l) {
  conc_member *m = (conc_member *)l;
  conc_group *g = m->group;
  atomic_store(&m->ended, atomic_fetch_add(&g->ends, 1) + 1);
  if (decides(g, m->future))
    conc_group_cancel(g);
  if (atomic_fetch_sub(&g->open, 1) == 1)
    conc_wake(&g->open, CONC_ALL);
  conc_release(&g->obj);
}

apr_status_t conc_group_add(conc_group *g, conc_future *f) {
  conc_member *m = conc_alloc(sizeof *m);
  if (m == NULL)
    return APR_ENOMEM;
  *m = (conc_member){.link = {.run = ended}, .group = g, .future = f};
  conc_retain(&f->obj);
  m->number = g->n++;
  m->hope = g->hopes;
  g->hopes = m;
  m->next = atomic_load(&g->first);
  atomic_fetch_add(&g->open, 1);
  atomic_store(&g->first, m);
  conc_retain(&g->obj);
  if (!conc_future_link(f, &m->link))
    ended(&m->link);
  if (atomic_load(&g->cancelled) != 0)
    (void)conc_future_stop(f, CONC_ASK_CANCEL);
  return APR_SUCCESS;
}

void conc_group_keep(conc_group *g, conc_obj *o) {
  conc_obj *before = g->kept;
  g->kept = o;
  conc_release(before);
}

conc_obj *conc_group_kept(const conc_group *g) { return g->kept; }

conc_word *conc_group_open(conc_group *g) { return &g->open; }

/* ---- Looking ---- */

conc_member *conc_group_next(const conc_group *g, const conc_member *m) {
  return m == NULL ? atomic_load(&g->first) : m->next;
}

conc_future *conc_member_future(const conc_member *m) { return m->future; }

size_t conc_member_number(const conc_member *m) { return m->number; }

size_t conc_member_ended(const conc_member *m) {
  return atomic_load(&m->ended);
}

conc_future *conc_group_claim(conc_group *g, conc_worker *w) {
  conc_member *m;
  while ((m = g->hopes) != NULL) { /* the newest first: as a stack would */
    g->hopes = m->hope;
    if (conc_pool_claim(w, m->future))
      return m->future;
  }
  return NULL;
}
