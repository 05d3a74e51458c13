#include "core/line.h"

#include "core/shield.h"
#include "wait/lot.h"

void conc_line_join_locked(conc_line *line, conc_turn *t) {
  t->inside = true;
  t->next = NULL;
  t->prev = line->last;
  if (line->last != NULL)
    line->last->next = t;
  else
    line->first = t;
  line->last = t;
}

void conc_line_leave_locked(conc_line *line, conc_turn *t) {
  if (t->prev != NULL)
    t->prev->next = t->next;
  else
    line->first = t->next;
  if (t->next != NULL)
    t->next->prev = t->prev;
  else
    line->last = t->prev;
  t->inside = false;
}

conc_turn *conc_line_take_locked(conc_line *line, size_t n) {
  conc_turn *chain = line->first, *end = NULL, *rest = chain;
  for (; rest != NULL && n > 0; n--) {
    rest->inside = false;
    end = rest;
    rest = rest->next;
  }
  if (end == NULL)
    return NULL;
  end->next = NULL;
  line->first = rest;
  if (rest != NULL)
    rest->prev = NULL;
  else
    line->last = NULL;
  return chain;
}

void conc_turn_tell(conc_turn *chain, uint32_t what, uint32_t step) {
  while (chain != NULL) {
    conc_word *word = &chain->told;
    chain = chain->next;
    atomic_store(word, what);
    conc_wake(word, 1); /* from here on it is only an address */
    what += step;
  }
}

/*
 * A wake may be somebody else's, who used this address before: what counts is
 * the word.
 */
apr_status_t conc_turn_wait(conc_turn *t, conc_parker *self,
                            conc_time deadline) {
  while (conc_turn_told(t) == 0) {
    apr_status_t st = conc_wait(&t->told, 0, self, deadline);
    if (st != APR_SUCCESS && st != APR_EAGAIN)
      return st;
  }
  return APR_SUCCESS;
}

void conc_turn_settle(conc_turn *t, conc_parker *self) {
  conc_shield_up(self);
  (void)conc_turn_wait(t, self, CONC_FOREVER);
  conc_shield_down(self);
}
