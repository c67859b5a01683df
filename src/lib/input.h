/* input.h — the inputs and numbers of a caller, checked and taken over as what the wire carries.
 *
 * A refusal is WEIR_INVALID and names the field, the value and the limit; `index` is the input's.
 * Bytes stay the caller's: they are copied when the payload is written. */
#ifndef LIB_INPUT_H
#define LIB_INPUT_H

#include "base/arena.h"
#include "wire/inputs.h"

#include "weir/weir.h"

/* `kinds` is the set of those that may stand there. */
enum weir_code input_take(const struct weir_input *in, size_t index, unsigned kinds,
                          struct wire_input *out, struct weir_error *err);
/* The list lies in the arena. */
enum weir_code input_take_list(const struct weir_input *inputs, size_t count, unsigned kinds,
                               struct arena *arena, const struct wire_input **out,
                               struct weir_error *err);

/* 0 to `most`, and a number at all. */
enum weir_code input_check_range(const char *field, double value, double most,
                                 struct weir_error *err);
enum weir_code input_check_count(const char *what, size_t count, size_t most,
                                 struct weir_error *err);
enum weir_code input_no_memory(size_t count, const char *what, struct weir_error *err);

#endif
