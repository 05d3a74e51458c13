#ifndef CONC_WORLD_H
#define CONC_WORLD_H

/*
 * For ThreadSanitizer, which sees one process.  What lies in shared memory may
 * come back by way of another one:
 *
 *   thread A writes a record, and publishes it (a release on a shared word);
 *   another process reads it (an acquire), frees the block under the heap's
 *   latch, is given it for something else, writes that, and publishes it;
 *   thread B, of A's process, reads it there (an acquire), and then the block.
 *
 * A's write happens before B's read by a chain of which the middle belongs to
 * the other process.  So whatever publishes shared memory tells the world first,
 * and whoever learns of such memory hears of the world next.  Within a process
 * the words themselves are enough.  The price: in programs that use shared
 * memory the sanitizer takes what was done before one latch or message for
 * ordered with what is done after a later one.
 *
 * Without the sanitizer these are nothing.
 */

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)

void __tsan_acquire(void *address);
void __tsan_release(void *address);
extern char conc_world;

static inline void conc_world_tell(void) { __tsan_release(&conc_world); }
static inline void conc_world_hear(void) { __tsan_acquire(&conc_world); }

#else

static inline void conc_world_tell(void) {}
static inline void conc_world_hear(void) {}

#endif

#endif
