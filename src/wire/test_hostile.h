/* test_hostile.h — what every reader of payloads must stand, for tests. */
#ifndef WIRE_TEST_HOSTILE_H
#define WIRE_TEST_HOSTILE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdbool.h>
#include <string.h>

/* STR for the initialiser of a static, which may hold no compound literal. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

/* Each reading is of memory of its own size: a sanitizer sees any look beyond it. */
static inline bool hostile_read(bool (*reads)(struct str), const char *data, size_t len)
{
    char *copy = mem_new(len + (len == 0), 1);
    memcpy(copy, data, len);
    const bool good = reads((struct str){ copy, len });
    mem_free(copy);
    return good;
}

/* Cut anywhere or longer by a byte it is refused; with a bit changed it does no harm. */
static inline void hostile_payload(struct str good, bool (*reads)(struct str))
{
    char *bytes = mem_new(good.len + 1, 1);
    memcpy(bytes, good.data, good.len);
    for (size_t len = 0; len <= good.len + 1; len++)
        CHECK(hostile_read(reads, bytes, len) == (len == good.len));
    for (size_t bit = 0; bit < good.len * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        (void)hostile_read(reads, bytes, good.len);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    mem_free(bytes);
}

#endif
