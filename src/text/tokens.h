/* tokens.h — a list of token ids that grows. */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zeros is the empty list. */
struct tokens {
    int32_t *ids;
    size_t count, cap;
};

void tokens_finish(struct tokens *t); /* frees; the list is empty and usable again */
/* Room for `more` ids behind the last; false when there is no memory, the list is as it was. */
bool tokens_reserve(struct tokens *t, size_t more);

#endif
