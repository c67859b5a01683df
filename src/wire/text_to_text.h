/* text_to_text.h — payload of the operation generate: a prompt or a conversation, and how to
 * sample. Its outputs are plain UTF-8, streamed.
 *
 * The numbers of the sampling, the stop texts, then the messages or, when there are none, the
 * prompt. A reader refuses whatever is out of its range, so that a worker needs no check of its
 * own. */
#ifndef WIRE_TEXT_TO_TEXT_H
#define WIRE_TEXT_TO_TEXT_H

#include "wire/inputs.h"

#include "base/error.h"

#include <stdbool.h>

#define WIRE_MESSAGES_MAX    65536 /* of one conversation */
#define WIRE_STOPS_MAX       4
#define WIRE_STOP_BYTES_MAX  1024
#define WIRE_TEMPERATURE_MAX 2
#define WIRE_TOP_P_MAX       1

#define WIRE_ROLES(X) X(SYSTEM, system) X(USER, user) X(ASSISTANT, assistant) X(TOOL, tool)

enum wire_role {
#define X(NAME, name) WIRE_ROLE_##NAME,
    WIRE_ROLES(X)
#undef X
        WIRE_ROLE_COUNT
};

const char *wire_role_name(unsigned role); /* "user"; "unknown" out of range */
bool wire_role_parse(struct str name, enum wire_role *out);

/* Why a text ended, as `end` says it: the values of enum weir_finish. */
enum wire_finish { WIRE_FINISH_STOP, WIRE_FINISH_LENGTH, WIRE_FINISH_COUNT };

/* One turn of a conversation. */
struct wire_message {
    uint8_t role; /* enum wire_role */
    const struct wire_input *parts;
    size_t count;
};

struct generate_request {
    uint32_t tokens_max;      /* 0: the model's own end */
    struct wire_input prompt; /* text or ids; only when there are no messages */
    const struct wire_message *messages;
    size_t messages_count;
    float temperature; /* 0: always the likeliest token */
    float top_p;       /* 0: all tokens */
    uint32_t top_k;    /* 0: all tokens */
    bool seeded;
    uint64_t seed;
    const struct str *stop; /* none of them empty */
    size_t stop_count;
};
void generate_request_write(struct buffer *out, const struct generate_request *r);
/* Messages hold texts only. Lists lie in the arena, bytes are borrowed from the payload. */
bool generate_request_read(struct str payload, struct arena *arena, struct generate_request *out,
                           struct weir_error *err);
/* The same with parts of those kinds allowed in the messages (vision.h). */
bool generate_request_read_kinds(struct str payload, struct arena *arena, unsigned kinds,
                                 struct generate_request *out, struct weir_error *err);

#endif
