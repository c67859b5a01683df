/* control_page.h — the page that supervisor and worker share (fd 4, sealed: it can neither shrink
 * nor grow). Neither side trusts what it reads here: ticks only show that something moves, a thread
 * share is clamped by the worker to what it was loaded with, and only what was lent is taken back.
 */
#ifndef WIRE_CONTROL_PAGE_H
#define WIRE_CONTROL_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define CONTROL_PAGE_BYTES 4096
#define CONTROL_SLOTS      64

/* The payload regions: written by the supervisor, and by the worker. */
enum control_region { CONTROL_REQUESTS, CONTROL_REPLIES, CONTROL_REGIONS };

struct control_page {
    _Atomic uint64_t ticks;   /* worker: one a layer, token, step or piece of a load */
    _Atomic uint32_t threads; /* supervisor: how many compute threads this worker may use; 0: all */
    uint32_t reserved;
    _Atomic uint64_t cancel[CONTROL_SLOTS];     /* the job in that slot that is to stop, or 0 */
    _Atomic uint64_t returned[CONTROL_REGIONS]; /* reader: blocks it has copied (region.h) */
    uint8_t rest[CONTROL_PAGE_BYTES - 16 - 8 * (CONTROL_SLOTS + CONTROL_REGIONS)];
};
_Static_assert(sizeof(struct control_page) == CONTROL_PAGE_BYTES, "the page is mapped whole");

/* The worker shows that something moves. */
static inline void control_page_tick(struct control_page *page)
{
    atomic_fetch_add_explicit(&page->ticks, 1, memory_order_relaxed);
}

/* The supervisor's two uses of it. */
static inline uint64_t control_page_ticks(const struct control_page *page)
{
    return atomic_load_explicit(&page->ticks, memory_order_relaxed);
}

static inline void control_page_share(struct control_page *page, uint32_t threads)
{
    atomic_store_explicit(&page->threads, threads, memory_order_relaxed);
}

#endif
