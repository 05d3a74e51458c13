/* Tasks in flight: a slot each, from when they are given until they are over. */

#include "lua/failure.h"
#include "lua/keeper.h"
#include "lua/state.h"
#include "lua/task.h"

static void count(lc_keeper *k) {
  atomic_store_explicit(&k->w->depth, k->n, memory_order_relaxed);
}

unsigned lc_keeper_put(lc_keeper *k, conc_future *f) {
  while (k->slots[k->hint % KEEPER_SLOTS] != NULL)
    k->hint++;
  unsigned slot = k->hint++ % KEEPER_SLOTS;
  k->slots[slot] = f;
  k->n++;
  count(k);
  return slot;
}

static conc_future *take_from_slot(lc_keeper *k, unsigned slot) {
  conc_future *f = k->slots[slot];
  k->slots[slot] = NULL;
  if (k->pieces[slot] != NULL)
    conc_release(&k->pieces[slot]->obj);
  k->pieces[slot] = NULL;
  k->n--;
  count(k);
  if (k->n == 0 && k->alarm != NULL) {
    conc_clock_clear(conc_root_clock(k->S->root), k->alarm);
    conc_release(&k->alarm->obj);
    k->alarm = NULL;
  }
  return f;
}

lc_piece *lc_keeper_piece(lc_keeper *k, unsigned slot) {
  if (k->pieces[slot] == NULL)
    (void)lc_piece_new(&k->pieces[slot]);
  return k->pieces[slot];
}

/* There were results before this one: all of them are *result. */
static apr_status_t put_together(conc_future *f, lc_piece *p,
                                 conc_msg *result) {
  apr_status_t st =
    result->size == 0 ? APR_SUCCESS : lc_piece_add(p, result, 0);
  if (st != APR_SUCCESS)
    return st;
  conc_retain(&p->obj);
  lc_piece_result(result, p);
  f->kind = LC_TASK_PIECES;
  return APR_SUCCESS;
}

void lc_keeper_finish(lc_keeper *k, unsigned slot, conc_future_state how,
                      conc_msg *result) {
  lc_piece *p = k->pieces[slot];
  if (p != NULL && how == CONC_FUTURE_FINISHED &&
      put_together(k->slots[slot], p, result) != APR_SUCCESS) {
    conc_msg_fini(result);
    lc_pack_status(k->L, APR_ENOMEM, result);
    how = CONC_FUTURE_FAILED;
  }
  conc_future *f = take_from_slot(k, slot);
  conc_msg task = conc_msg_take(&f->msg);
  conc_worker_ended(k->w, how);
  (void)conc_future_finish(f, how, result);
  conc_msg_fini(&task);
  conc_release(&f->obj);
}

/* (class, text) */
static int make_error(lua_State *L) {
  lc_pusherror(L, lua_touserdata(L, 1), lua_touserdata(L, 2));
  return 1;
}

void lc_keeper_fail(lc_keeper *k, unsigned slot, const char *cls,
                    const char *text) {
  lua_State *L = k->L;
  conc_msg why;
  lua_pushcfunction(L, make_error);
  lua_pushlightuserdata(L, (void *)cls);
  lua_pushlightuserdata(L, (void *)text);
  (void)lua_pcall(L, 2, 1, 0);
  lua_pushnil(L);
  lc_pack_failure(L, -2, &why);
  lua_pop(L, 1);
  lc_keeper_finish(k, slot, CONC_FUTURE_FAILED, &why);
}

static void end_asked(lc_keeper *k, unsigned slot) {
  conc_msg none = {0};
  unsigned asked = conc_future_asked(k->slots[slot]);
  if ((asked & CONC_ASK_CANCEL) != 0 || (asked & CONC_ASK_LATE) == 0)
    lc_keeper_finish(k, slot, CONC_FUTURE_CANCELLED, &none);
  else
    lc_keeper_fail(k, slot, "TimeoutError",
                   "the task ran for longer than its timeout");
}

void lc_keeper_return(lc_keeper *k, unsigned slot) {
  if (!conc_pool_return(k->p, k->slots[slot]))
    end_asked(k, slot);
  else
    (void)take_from_slot(k, slot);
}
