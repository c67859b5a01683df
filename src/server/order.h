/* order.h — what the server asks of the pool beside requests: weir_control, one object a call. */
#ifndef SERVER_ORDER_H
#define SERVER_ORDER_H

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

struct weir;

/* {"op":OP}, {"op":OP,"name":NAME} and {"op":OP,"id":ID}. The answer is borrowed until the next
 * order. */
enum weir_code order_plain(struct weir *pool, const char *op, struct str *answer,
                           struct weir_error *err);
enum weir_code order_by_name(struct weir *pool, const char *op, const char *name,
                             struct str *answer, struct weir_error *err);
enum weir_code order_by_id(struct weir *pool, const char *op, uint64_t id, struct str *answer,
                           struct weir_error *err);

#endif
