/* chat_reply.h — what POST /v1/chat/completions answers: one object, or the chunks of a stream.
 * Pure: values in, JSON out. */
#ifndef SERVER_CHAT_REPLY_H
#define SERVER_CHAT_REPLY_H

#include "base/buffer.h"
#include "base/str.h"

#include "weir/weir.h"

#include <stdbool.h>
#include <stdint.h>

struct chat_reply {
    const char *id; /* of the request */
    const char *model;
    int64_t created_s;
    bool wants_usage; /* every chunk has a field for it, which is null in all but the last */
    /* By chat_reply_prepare: a chunk without its text, which belongs behind `front` bytes. */
    struct buffer common;
    size_t front;
};

void chat_reply_whole(struct buffer *out, const struct chat_reply *r, struct str text,
                      const struct weir_end *end);

/* Before the first chunk of text: writes once what all of them have in common. */
void chat_reply_prepare(struct chat_reply *r);
void chat_reply_unprepare(struct chat_reply *r); /* frees it; harmless when there is nothing */
/* The chunks of a stream, in this order: one, any number, one, and one if usage is wanted. */
void chat_reply_role(struct buffer *out, const struct chat_reply *r);
void chat_reply_text(struct buffer *out, const struct chat_reply *r, struct str text);
void chat_reply_finish(struct buffer *out, const struct chat_reply *r, enum weir_finish finish);
void chat_reply_usage(struct buffer *out, const struct chat_reply *r, const struct weir_end *end);

#endif
