#include "base/mem.h"

#include <malloc.h>

/* What is mapped by itself (large blocks) is counted beside what lies in the heap. */
size_t mem_in_use(void)
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
