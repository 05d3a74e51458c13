#ifndef LC_SELECTABLE_H
#define LC_SELECTABLE_H

/*
 * How the objects of a class become cases of conc.select.  Each binding may
 * have one of these, which lc_selectables lists.
 */

#include "core/select.h"
#include "lua/lc.h"

typedef struct lc_selectable {
  const conc_class *cls;
  /* Make *c of the object; raises with lc_badcase. */
  void (*make)(lua_State *L, int number, conc_obj *o, conc_case *c);
  /*
   * The same for {o, put = item, ...}, the table at 'idx', where 'put' is not
   * nil.  What c->msg and c->prio own then is freed with it.  NULL: nothing can
   * be put into such an object.
   */
  void (*make_put)(lua_State *L, int number, int idx, conc_obj *o,
                   conc_case *c);
  /*
   * Push what the case gave when it was taken; returns how many.  The object's
   * userdata is at 'idx'.  NULL: the object itself.
   */
  int (*give)(lua_State *L, int idx, conc_case *c);
} lc_selectable;

/* All of them, ended by NULL (selectable.c). */
extern const lc_selectable *const lc_selectables[];

extern const lc_selectable lc_process_selectable, lc_conn_selectable,
  lc_squeue_selectable, lc_sjoinable_selectable, lc_ssimple_selectable,
  lc_pipe_selectable;

/* What rings (ipc/ring_cases.h) need: pack the item to put, which is going to
   leave the process, into c->msg; give what was taken. */
void lc_make_ring_push(lua_State *L, int number, int idx, conc_case *c);
int lc_give_cargo(lua_State *L, int idx, conc_case *c);

/* Raise "bad case <number>: ...". */
int lc_badcase(lua_State *L, int number, const char *fmt, ...);

#endif
