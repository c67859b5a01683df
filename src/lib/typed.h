/* typed.h — the typed requests of weir.h to payload bytes, and payload bytes to typed outputs.
 *
 * One row an operation and the capabilities that it has this form for; a new operation is a new
 * row. What a caller gave is checked before a byte of it is queued, what a worker answered before a
 * byte of it is told. */
#ifndef LIB_TYPED_H
#define LIB_TYPED_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"

#include "weir/weir.h"

/* What a request must have had when it ends well: SIZE_MAX where any number is right. */
struct typed_expected {
    size_t outputs, rows; /* rows: of each output */
    size_t dim;           /* of each row; 0: any */
};

struct typed_operation {
    enum weir_operation operation;
    uint32_t capabilities; /* a bit each */
    bool mergeable;        /* equal requests have equal answers, collected */
    size_t input_bytes;    /* of its input struct; 0: it has none */
    /* NULL: nothing is to be written. What it needs meanwhile lies in the arena. */
    enum weir_code (*write)(const void *input, struct arena *arena, struct buffer *out,
                            struct weir_error *err);
    /* NULL: any number of each. */
    struct typed_expected (*expect)(const void *input);
    /* NULL: it has no outputs. Fills `out`, which holds zeroes; false and err when the worker's
     * bytes make no sense. */
    bool (*read)(struct str payload, struct arena *arena, struct weir_output *out,
                 struct weir_error *err);
};

/* NULL and WEIR_INVALID when the operation does not belong to the capability; both in range. */
const struct typed_operation *typed_operation(enum weir_operation operation,
                                              enum weir_capability capability,
                                              struct weir_error *err);

/* *out is the caller's (mem_free). */
enum weir_code typed_request(const struct typed_operation *o, const void *input, uint8_t **out,
                             size_t *out_bytes, struct weir_error *err);
/* `input` was written before. */
struct typed_expected typed_expect(const struct typed_operation *o, const void *input);
/* Fills `out`, in the arena; false and err when the worker's bytes make no sense. */
bool typed_output(const struct typed_operation *o, struct str payload, struct arena *arena,
                  struct weir_output *out, struct weir_error *err);

#endif
