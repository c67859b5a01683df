/* refuse.h — the refusals that every worker words alike. Each fills err and returns its code. */
#ifndef WORKER_REFUSE_H
#define WORKER_REFUSE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum weir_code refuse_operation(unsigned capability, unsigned operation, struct weir_error *err);
enum weir_code refuse_empty(size_t index, struct weir_error *err);
enum weir_code refuse_too_long(size_t index, size_t tokens, size_t limit, struct weir_error *err);
enum weir_code refuse_dimensions(uint32_t dimensions, uint32_t dim, struct weir_error *err);
/* A text where ids belong, or ids where a text belongs. */
enum weir_code refuse_kind(size_t index, const char *wanted, struct weir_error *err);
enum weir_code refuse_cancelled(struct weir_error *err);

#endif
