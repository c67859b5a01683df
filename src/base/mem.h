/* mem.h — the only place that calls malloc.
 *
 * Two kinds of need. mem_new serves objects whose size the program knows: it cannot usefully fail,
 * so it aborts. mem_try serves sizes that a file, a client or a model states: it returns NULL and
 * the caller answers with an error. Both return zeroed memory, released by mem_free. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t count, size_t size);               /* never NULL; zeroed */
void *mem_try(size_t count, size_t size);               /* NULL on overflow or out of memory */
void *mem_try_aligned(size_t bytes, size_t alignment);  /* zeroed; released by mem_free */
void *mem_resize(void *old, size_t count, size_t size); /* like realloc; NULL leaves old alone */
char *mem_copy_text(const char *data, size_t len);      /* NUL-terminated copy, never NULL */
size_t mem_in_use(void);      /* bytes that the whole program holds of the allocator */
void mem_free(void *pointer); /* NULL is fine */

/* Zeros, for memory of this module; whole pages of a large block are untouched afterwards. */
void mem_clear(void *block, size_t bytes);

#endif
