/* conversation.h — struct weir_generate to the payload of generate and describe. */
#ifndef LIB_CONVERSATION_H
#define LIB_CONVERSATION_H

#include "base/arena.h"
#include "base/buffer.h"

#include "weir/weir.h"

/* `kinds` are those of the parts of its messages. */
enum weir_code conversation_write(const struct weir_generate *g, unsigned kinds,
                                  struct arena *arena, struct buffer *out, struct weir_error *err);

#endif
