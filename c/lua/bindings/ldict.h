#ifndef LDICT_H
#define LDICT_H

/* Keys, values and entries of a Dict as Lua has them. */

#include "core/dict.h"
#include "lua/lc.h"

/*
 * The key at 'idx', which came with the argument 'arg'; raises.  Its string or
 * object stays the value at 'idx'.
 */
conc_key ldict_key_at(lua_State *L, int idx, int arg);
conc_key ldict_key(lua_State *L, int arg);
void ldict_push_key(lua_State *L, const conc_key *key);

static inline bool ldict_is_empty(const conc_msg *m) {
  return m->size == 0 && m->nrefs == 0;
}

/* Pack the value at 'arg'; nil gives an empty message. */
void ldict_pack(lua_State *L, int arg, const char *name, conc_msg *m);

/* Push the value of *m and empty it, also when that raises. */
void ldict_push_msg(lua_State *L, conc_msg *m);

/* Push the value and say true, or push nil; 'version' may be NULL. */
bool ldict_push(lua_State *L, conc_dict *d, const conc_key *key,
                uint64_t *version);

/* Write the value at 'idx', which is called 'name', or (NULL) as its key. */
void ldict_set(lua_State *L, conc_dict *d, const conc_key *key, int idx,
               const char *name);

/*
 * Write the value at the top if the entry is of that version; pops it.  False:
 * it is not.
 */
bool ldict_replace(lua_State *L, conc_dict *d, const conc_key *key,
                   uint64_t version, const char *name);

/* Raise unless the value at 'arg', the old one of a cas, can be compared. */
void ldict_comparable(lua_State *L, int arg);

/*
 * Is the entry of that version, of which 'value' is a copy if there is one,
 * the value at 3, which is packed in *old?
 */
bool ldict_is_old(lua_State *L, uint64_t version, conc_msg *value,
                  conc_msg *old);

/* The binding that runs has written the entry: tell updates under way. */
void ldict_wrote(lua_State *L, conc_dict *d, const conc_key *key);

/*
 * Call the function below the value on the top for an update of the entry.
 * False: it has itself written there.
 */
bool ldict_call(lua_State *L, conc_dict *d, const conc_key *key);

#endif
