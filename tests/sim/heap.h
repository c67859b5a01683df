/* heap.h — how many blocks are in use, to see that a run gives back all that it took.
 *
 * The program is linked so that every call of base/mem.h comes by here first (--wrap). */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdint.h>

int64_t heap_blocks(void);

#endif
