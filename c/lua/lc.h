#ifndef LC_H
#define LC_H

/*
 * What all bindings share.  Each binding file is the same sentence over and
 * over: check arguments, push the box that will own the result, call core,
 * push results.  A Lua call may jump away: no lock is held and no memory is
 * unanchored across one.
 */

#include <lauxlib.h>
#include <lua.h>

#include "base/clock.h"
#include "base/msg.h"
#include "base/status.h"
#include "wait/parker.h"

typedef struct lc_state lc_state;

/*
 * For the rest of a function whose usual way is a few instructions: kept apart,
 * it does not make that way save registers.
 */
#if defined(__GNUC__)
#define LC_APART __attribute__((noinline))
#elif defined(_MSC_VER)
#define LC_APART __declspec(noinline)
#else
#define LC_APART
#endif

/* ---- Types: how a class of core looks in Lua ---- */

typedef struct lc_type {
  const conc_class *cls;
  const luaL_Reg *methods;
  const luaL_Reg *metamethods; /* beside __gc, __eq, __tostring; may be NULL;
                                  an __index here replaces the method table
                                  and gets that as upvalue 2 */
  /* Called before the last reference of this box goes; may be NULL. */
  void (*dropped)(conc_obj *o);
  int uservalues; /* of the userdata */
  bool owned;     /* boxes of it have an owner, and no finalizer */
} lc_type;

/* Every type, ended by NULL (types.c). */
extern const lc_type *const lc_types[];

/*
 * A box is the userdata by which a state holds an object.  'mark' tells boxes
 * from other people's userdata without a look at the metatable.
 *
 * A box has a reference of its own, or it is one of many with an owner: the
 * box (its user value) that has the reference and the finalizer for all.
 */
typedef struct lc_box {
  uintptr_t mark;
  conc_obj *obj;        /* NULL: not yet made, or closed */
  struct lc_box *owner; /* NULL: this one */
} lc_box;

static inline uintptr_t lc_mark(const lc_box *b) {
  return (uintptr_t)b ^ (uintptr_t)0x636f6e63626f7821u;
}

static inline conc_obj *lc_content(const lc_box *b) {
  return b->owner == NULL || b->owner->obj != NULL ? b->obj : NULL;
}

/* The box at 'arg', or NULL. */
static inline lc_box *lc_isbox(lua_State *L, int arg) {
  lc_box *b = lua_touserdata(L, arg);
  if (b == NULL || lua_rawlen(L, arg) != sizeof *b || b->mark != lc_mark(b))
    return NULL;
  return b;
}

/* The object of class 'cls' at 'arg', or NULL. */
static inline conc_obj *lc_test(lua_State *L, int arg, const conc_class *cls) {
  const lc_box *b = lc_isbox(L, arg);
  conc_obj *o = b == NULL ? NULL : lc_content(b);
  return o == NULL || o->cls != cls ? NULL : o;
}

/* The conc object of any class at 'arg', or NULL. */
conc_obj *lc_testany(lua_State *L, int arg);

/* Raise the type error that 'lc_check' raises. */
int lc_typeerror(lua_State *L, int arg, const conc_class *cls);

/* The object of class 'cls' at 'arg'; raises. */
static inline void *lc_check(lua_State *L, int arg, const conc_class *cls) {
  conc_obj *o = lc_test(L, arg, cls);
  if (o == NULL)
    lc_typeerror(L, arg, cls);
  return o;
}

/* Push the metatable that this state has for objects of a type. */
void lc_pushmetatable(lua_State *L, const lc_type *t);

/* Push an empty box of the class; the constructor of core fills box->obj. */
lc_box *lc_newbox(lua_State *L, const conc_class *cls);

/* The same without a class and its metatable. */
lc_box *lc_pushbox(lua_State *L, int uservalues);

/* Push a box with an owner, which is the box at 'owner', for 'o'. */
void lc_newowned(lua_State *L, conc_obj *o, int owner);

/*
 * Push the userdata of 'o' in this state: the one it has here already, or a
 * new one with a reference of its own.  Needs a few stack slots; raises on
 * memory.
 */
void lc_push(lua_State *L, conc_obj *o);

/*
 * Push the table that the registry has under an address; the first time, a new
 * one with that __mode (or NULL).
 */
void lc_pushtable(lua_State *L, const void *key, const char *mode);

/*
 * Give the userdata on the top a finalizer, which is also its __close.  The
 * registry keeps the metatable under that address.
 */
void lc_setfinalizer(lua_State *L, const void *key, lua_CFunction gc);

/* Push the table of the objects that are here: address -> userdata, weak. */
void lc_pushobjects(lua_State *L);

/* Remember that the object of the box at 'idx' may come back to this state. */
void lc_remember(lua_State *L, int idx);

/* Some objects, each with a reference, in a userdata. */
typedef struct lc_snapshot {
  size_t n;
  conc_obj *list[1];
} lc_snapshot;

/*
 * Push a snapshot of what 'take' puts in the list, retained, as far as there is
 * room; it returns how many there are.
 */
lc_snapshot *lc_push_snapshot(lua_State *L,
                              size_t (*take)(void *from, conc_obj **list,
                                             size_t room),
                              void *from);

/* Give the references back: in a state that closes nobody else does. */
void lc_drop_snapshot(lc_snapshot *s);

/* ---- Functions ---- */

/*
 * Register functions in the table on the top.  Each has the state's lc_state
 * as its first upvalue, where lc_get finds it.
 */
void lc_setfuncs(lua_State *L, const luaL_Reg *list);

static inline lc_state *lc_get(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* The same from anywhere: looks in the registry; makes it if need be. */
lc_state *lc_open(lua_State *L);

/* ---- Arguments ---- */

/*
 * Raise "bad argument #arg to 'f' (text)", as luaL_argerror, but as said under
 * Errors.
 */
int lc_badarg(lua_State *L, int arg, const char *text);
/* The same with the argument's name: "(name: what ...)". */
int lc_argerror(lua_State *L, int arg, const char *name, const char *fmt, ...);

/* No more than n arguments; raises. */
void lc_nomore(lua_State *L, int n);

/*
 * A constructor's arguments: positional, or one table of named options.  The
 * table is replaced by its fields in the order of 'names' (ended by NULL), so
 * that the caller reads positions either way; unknown names and surplus
 * arguments raise.  At the end the stack has exactly one slot a name.
 */
void lc_options(lua_State *L, const char *const names[]);
/* Raise if the table at 'arg' has a key that is none of the names. */
void lc_check_options(lua_State *L, int arg, const char *const names[]);
/* The same for a method whose options begin at argument 'first'. */
void lc_options_at(lua_State *L, int first, const char *const names[]);

/* Seconds at 'arg' as a deadline; nil: for ever; raises on < 0, NaN. */
conc_time lc_deadline(lua_State *L, int arg, const char *name);

/* An integer from lo to hi at 'arg'; raises. */
lua_Integer lc_integer(lua_State *L, int arg, const char *name, lua_Integer lo,
                       lua_Integer hi);
/* ... or 'def' when it is nil. */
lua_Integer lc_optinteger(lua_State *L, int arg, const char *name,
                          lua_Integer def, lua_Integer lo, lua_Integer hi);
/* As string.sub, with the arguments i at 'arg' and j behind it: the first of
   'len' items, from 0, and how many. */
size_t lc_range(lua_State *L, int arg, size_t len, size_t *from);
bool lc_boolean(lua_State *L, int arg, const char *name);
bool lc_optboolean(lua_State *L, int arg, const char *name, bool def);
/* A string at 'arg', and its length if len is not NULL; raises. */
const char *lc_string(lua_State *L, int arg, const char *name, size_t *len);
/* A table at 'arg'; raises. */
void lc_table(lua_State *L, int arg, const char *name);
/* Anything, nil too, at 'arg'; raises if it is missing. */
void lc_any(lua_State *L, int arg, const char *name);
/* A function (or callable) at 'arg'; raises. */
void lc_function(lua_State *L, int arg, const char *name);

/* What to call the value at 'idx': the __name of its metatable or its type. */
const char *lc_nameof(lua_State *L, int idx);

/* How many arguments the table at 'idx' holds: its field n, or its length;
   raises, calling it argument 'arg', 'name'. */
int lc_countargs(lua_State *L, int idx, int arg, const char *name);

/* Push the value at 'idx' as text, as tostring does, but for a __tostring that
   raises: then what it is and where. */
const char *lc_totext(lua_State *L, int idx);

/* ---- Waiting ---- */

/*
 * Who waits when this state waits.  L is remembered as the coroutine that does,
 * for those who ask what it waits for: so each wait begins with this call.
 */
conc_parker *lc_self(lua_State *L);

/* The same for waits that no running function of Lua has called for. */
conc_parker *lc_idle(lc_state *S);

/*
 * After a wait: true: it was interrupted for a hook which has run now, wait
 * again.  Raises what the hook raises, and CancelledError when cancelled.
 *
 *   do
 *     st = conc_x_wait(x, lc_self(L), deadline);
 *   while (lc_again(L, st));
 */
bool lc_again(lua_State *L, apr_status_t st);

/*
 * Push what a wait gave and return how many: true; or (value) nil, word / (no
 * value) false, word for "timeout" and "closed"; anything else is raised.
 */
int lc_outcome(lua_State *L, apr_status_t st); /* nil, word */
int lc_truth(lua_State *L, apr_status_t st);   /* false, word */

/* ---- Errors ---- */

/*
 * As luaL_where and luaL_error, but the line is that of the program which called
 * conc, also when there are conc's own functions in Lua between.
 */
void lc_where(lua_State *L);
int lc_error(lua_State *L, const char *fmt, ...);

/* Raise a conc.Error of that class. */
int lc_throw(lua_State *L, const char *cls, const char *fmt, ...);
/* Push one, without a cause or traceback. */
void lc_pusherror(lua_State *L, const char *cls, const char *message);
/* Is the value at 'idx' a conc.Error of that class (NULL: of any)? */
bool lc_iserror(lua_State *L, int idx, const char *cls);
/* Raise what a failed call of core means: out of memory, or its text. */
int lc_fail(lua_State *L, apr_status_t st);

/* ---- Values ---- */

/*
 * Pack the values at first..last into *m, which owns nothing before.  Raises
 * with the path of what cannot travel, where 'name' is what to call a single
 * value; of several they are name[1], name[2] ..., but "fn", "target" and
 * "init" are followed by args[1], args[2] ...  After a raise *m owns nothing.
 */
void lc_pack(lua_State *L, int first, int last, const char *name, conc_msg *m);

/* The same for one item, in a function that lc_setfuncs registered: it lends. */
void lc_pack_one(lua_State *L, int idx, const char *name, conc_msg *m);

/* ... and for one that leaves the process: it does not lend. */
void lc_pack_away(lua_State *L, int idx, const char *name, conc_msg *m);
/* The same for what a task gives back, maybe to another process. */
void lc_pack_answer(lua_State *L, int first, int last, const char *name,
                    conc_msg *m);

typedef struct lc_packing {
  int first, last;  /* the values */
  const char *name; /* see lc_pack */
  int before;       /* values before the function, in messages about "fn" */
  int apart;        /* values after this index share nothing with each other,
                       as if they came in messages of their own; 0: all do */
  bool wire;        /* it goes to another process */
  bool lend;        /* large strings among the values may stay where they are
                       until they are received; not for what is compared */
  conc_obj *extra;  /* the message's first reference, retained, which no value
                       speaks of; or NULL */
} lc_packing;

/*
 * The function at 'first', if it is the last one that was packed and has no
 * upvalue but the globals, and numbers, booleans, nils and short strings behind
 * it: false, *m is not used: something else, or too much.  Does not raise.
 */
bool lc_pack_light(lua_State *L, lc_state *S, int first, int last, conc_msg *m);

/* The same as lc_pack, with everything said. */
void lc_pack_with(lua_State *L, lc_state *S, const lc_packing *r, conc_msg *m);

/*
 * A message in a userdata, so that it is freed whatever is raised: pushes the
 * userdata, moves *m into it.
 */
conc_msg *lc_pushmsg(lua_State *L, conc_msg *m);

/*
 * Push the values of *m and empty it, also when it raises; returns how many.
 */
int lc_unpack(lua_State *L, conc_msg *m);

/* The same, but *m stays as it is: for cells that are read many times. */
int lc_unpack_copy(lua_State *L, conc_msg *m);
/* ... which is most often one scalar: the short way for that. */
int lc_unpack_result(lua_State *L, conc_msg *m);
/* ... from a stranger: anything but plain data is refused. */
int lc_unpack_plain(lua_State *L, conc_msg *m);
/* ... with the state at hand, which spares looking for it. */
int lc_unpack_with(lua_State *L, lc_state *S, conc_msg *m);

#endif
