/* check.h — bugs crash.
 *
 * CHECK is always compiled in and aborts: it states facts that only a bug in weir can break. What a
 * client, a file, the kernel or a worker can cause is an error value instead (error.h). */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
