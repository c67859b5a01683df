/* order.h — what the server asks of the pool beside requests: weir_control, one object a call. */
#ifndef SERVER_ORDER_H
#define SERVER_ORDER_H

#include "base/error.h"
#include "base/str.h"

#include "weir/capability.h"

#include <stdint.h>

struct json_value;
struct weir;

/* {"op":OP}, {"op":OP,"name":NAME}, {"op":OP,"id":ID} and {"op":"able","capability":C}. The answer
 * is borrowed until the next order. */
enum weir_code order_plain(struct weir *pool, const char *op, struct str *answer,
                           struct weir_error *err);
enum weir_code order_by_name(struct weir *pool, const char *op, const char *name,
                             struct str *answer, struct weir_error *err);
enum weir_code order_by_id(struct weir *pool, const char *op, uint64_t id, struct str *answer,
                           struct weir_error *err);
enum weir_code order_able(struct weir *pool, enum weir_capability capability, struct str *answer,
                          struct weir_error *err);

/* A number of a parsed answer; 0 where there is none. */
int64_t order_number(const struct json_value *answer, const char *key);

#endif
