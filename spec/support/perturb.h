/*
 * Included first by VARIANT=perturb: before an operation on an atomic the thread
 * may lose time, so that the steps of protocols meet in orders that a machine
 * left alone shows once in a year.  Of so many operations one loses
 *
 *     16   some loops, about what a miss of the cache costs
 *    256   the rest of its time slice
 *   8192   up to 100 us: the processor was taken away
 *
 * CONC_PERTURB=N makes all of it N times rarer.  Reads and writes of atomic
 * variables by their plain names are not disturbed.
 */
#ifndef PERTURB_H
#define PERTURB_H

#include <stdatomic.h>

/* By hand: a header of the system would settle what the file that comes asks of
   them (_GNU_SOURCE). */
typedef __UINT32_TYPE__ perturb_word;
char *getenv(const char *name);
#ifdef _WIN32
__declspec(dllimport) void __stdcall Sleep(unsigned long ms);
#else
int sched_yield(void);
int usleep(unsigned int us);
#endif

static inline void perturb_sleep(perturb_word us) {
#ifdef _WIN32
  Sleep(us / 50); /* 0: the rest of the time slice */
#else
  (void)(us == 0 ? sched_yield() : usleep(us));
#endif
}

/* Threads that ask at once find the same. */
static inline perturb_word perturb_rarity(void) {
  static perturb_word rarity; /* 0: not asked yet */
  perturb_word n = __atomic_load_n(&rarity, __ATOMIC_RELAXED);
  if (n != 0)
    return n;
  const char *text = getenv("CONC_PERTURB");
  for (; text != 0 && *text >= '0' && *text <= '9'; text++)
    n = n * 10 + (perturb_word)(*text - '0');
  n += n == 0;
  __atomic_store_n(&rarity, n, __ATOMIC_RELAXED);
  return n;
}

static inline int perturb(void) {
  static _Thread_local perturb_word state;
  if (state == 0)
    state = (perturb_word)((__UINTPTR_TYPE__)&state >> 4) * 0x9e3779b1u | 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  perturb_word dice = state >> 4;
  if (dice % 16 != 0 || dice / 16 % perturb_rarity() != 0)
    return 0;
  dice = dice / 16 / perturb_rarity();
  if (dice % 512 == 0)
    perturb_sleep(state % 100);
  else if (dice % 16 == 0)
    perturb_sleep(0);
  else
    for (volatile perturb_word i = state % 64; i > 0; i--)
      ;
  return 0;
}

/* What stdatomic.h's are made of, in gcc and in clang; inside its own expansion
   a name is left alone. */
#define __atomic_load(...) (perturb(), __atomic_load(__VA_ARGS__))
#define __atomic_store(...) (perturb(), __atomic_store(__VA_ARGS__))
#define __atomic_exchange(...) (perturb(), __atomic_exchange(__VA_ARGS__))
#define __atomic_compare_exchange(...)                                         \
  (perturb(), __atomic_compare_exchange(__VA_ARGS__))
#define __atomic_fetch_add(...) (perturb(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) (perturb(), __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_or(...) (perturb(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_and(...) (perturb(), __atomic_fetch_and(__VA_ARGS__))
#define __c11_atomic_load(...) (perturb(), __c11_atomic_load(__VA_ARGS__))
#define __c11_atomic_store(...) (perturb(), __c11_atomic_store(__VA_ARGS__))
#define __c11_atomic_exchange(...)                                             \
  (perturb(), __c11_atomic_exchange(__VA_ARGS__))
#define __c11_atomic_compare_exchange_strong(...)                              \
  (perturb(), __c11_atomic_compare_exchange_strong(__VA_ARGS__))
#define __c11_atomic_compare_exchange_weak(...)                                \
  (perturb(), __c11_atomic_compare_exchange_weak(__VA_ARGS__))
#define __c11_atomic_fetch_add(...)                                            \
  (perturb(), __c11_atomic_fetch_add(__VA_ARGS__))
#define __c11_atomic_fetch_sub(...)                                            \
  (perturb(), __c11_atomic_fetch_sub(__VA_ARGS__))
#define __c11_atomic_fetch_or(...)                                             \
  (perturb(), __c11_atomic_fetch_or(__VA_ARGS__))
#define __c11_atomic_fetch_and(...)                                            \
  (perturb(), __c11_atomic_fetch_and(__VA_ARGS__))

#endif
