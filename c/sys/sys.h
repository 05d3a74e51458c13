#ifndef CONC_SYS_H
#define CONC_SYS_H

/*
 * What conc needs of the operating system and APR does not give.  This
 * header is the contract; linux.c, posix.c and windows.c meet it, unix.c
 * holds what the first two share.  No other layer names a system.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

/* A word that threads wait on. */
typedef _Atomic uint32_t conc_word;

/* Nanoseconds of a clock that never jumps; its zero is arbitrary. */
int64_t conc_sys_now(void);

/*
 * Sleep while *w == expected, until woken or until 'timeout' ns passed (< 0:
 * for ever).  The comparison and the falling asleep are one step for wake.
 * May return early for no reason: callers look again.
 */
void conc_sys_wait(conc_word *w, uint32_t expected, int64_t timeout);

/* Wake one sleeper of 'w', or all.  'w' is only an address: never read. */
void conc_sys_wake(conc_word *w, bool all);

/* Give up the rest of the time slice. */
void conc_sys_yield(void);

/* The kernel's number of the calling thread, and of this process. */
uint64_t conc_sys_tid(void);
uint64_t conc_sys_pid(void);

/* A number that is another one in a process that is forked after the first
   call; where nothing forks, 0. */
uint32_t conc_sys_forks(void);

/* Have 'child' called in each process that is forked from now on, before fork
   returns there.  Call it once for a function. */
void conc_sys_at_fork(void (*child)(void));

/*
 * Processors this process may use: the smallest of its affinity mask, its
 * control group's quota rounded up and what is online; at least 1.
 */
unsigned conc_sys_cpus(void);

/* Name the calling thread for debuggers; cut to what the system allows. */
void conc_sys_name_thread(const char *name);

/* Block every signal in the calling thread, and undo it. */
struct conc_sys_mask {
  union {
    unsigned char bytes[128];
    uint64_t align;
  } u;
};
void conc_sys_mask_signals(struct conc_sys_mask *old);
void conc_sys_unmask_signals(const struct conc_sys_mask *old);

/*
 * May a signal run code of the program that is not about a crash?  The SIGINT
 * handler of an interpreter, a part of the main program, is not counted: it
 * ends what runs.  True where that cannot be known.
 */
bool conc_sys_handles_signals(void);
/* Does a person read what this process writes to stderr? */
bool conc_sys_stderr_is_terminal(void);

/*
 * When this returns, every other thread of the process has passed a full fence
 * since it was called, where the system can do that; else only the caller has.
 */
void conc_sys_fence_all(void);

/* Keep the module that holds this function mapped until the process ends. */
void conc_sys_pin(void);

/* Hint: [p, p + size) is large and about to be written from end to end. */
void conc_sys_large(void *p, size_t size);

/* The line at p will be written soon: get it from whoever has it. */
static inline void conc_sys_prefetch(const void *p) {
#if defined(__x86_64__) && defined(__GNUC__)
  /* Older ones of these processors ignore it; the builtin would only read. */
  __asm__ __volatile__("prefetchw (%0)" : : "r"(p));
#elif defined(__GNUC__)
  __builtin_prefetch(p, 1);
#else
  (void)p;
#endif
}

/* The number of the highest bit that is set; n > 0. */
static inline unsigned conc_sys_top_bit(uint64_t n) {
#if defined(_MSC_VER)
  unsigned long at;
  (void)_BitScanReverse64(&at, n);
  return at;
#else
  return 63u - (unsigned)__builtin_clzll((unsigned long long)n);
#endif
}

/* Tell the processor that this is a spin loop. */
static inline void conc_sys_pause(void) {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ __volatile__("yield");
#else
  atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
