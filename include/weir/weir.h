/* weir.h — a pool of models held at a machine's memory level, as a C library.
 *
 *     struct weir_options options = { .size = sizeof options };
 *     struct weir *w = weir_open(&options, &err);
 *     static const char mini[] = "{\"op\":\"register\",\"name\":\"mini\",\"path\":\"/m/mini\"}";
 *     weir_control(w, mini, strlen(mini), &answer, NULL, &err);
 *     struct weir_input text = { .size = sizeof text, .data = "hello", .bytes = 5 };
 *     struct weir_embed embed = { .size = sizeof embed, .inputs = &text, .count = 1 };
 *     weir_submit(w, &(struct weir_request){ .size = sizeof(struct weir_request),
 *         .capability = WEIR_TEXT_EMBEDDING, .operation = WEIR_EMBED, .model = "mini",
 *         .callbacks = &callbacks, .input = &embed }, &err);
 *     while (!done)
 *         weir_step(w, -1, &err);
 *     weir_close(w);
 *
 * Every struct begins with its size (error.h's is exempt); whatever else is zero means its default.
 * All calls come from one thread, which lives as long as the pool (workers die with it), and from
 * the process that opened the pool: in a child that it forked they are refused, and weir_close does
 * nothing. Inside callbacks submit, cancel, credit and control are legal, step and close are not;
 * `log` may call nothing. The library installs no signal handler and reaps only its own children;
 * the host may ignore SIGCHLD or reap them itself. */
#ifndef WEIR_H
#define WEIR_H

#include "weir/capability.h"
#include "weir/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_API __attribute__((visibility("default")))

struct weir;

enum weir_log_level { WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR };

/* One named limit of weir/limits.h: "queue_jobs", 1024. */
struct weir_limit {
    const char *name;
    int64_t value;
};

struct weir_options {
    size_t size;
    const char *worker;    /* folder of the worker programs; NULL: $WEIR_WORKER, beside the
                               executable, libexecdir */
    uint64_t memory_bytes; /* budget for models; 0: max(80 % of the machine - 2 GiB, half of it) */
    uint32_t memory_percent; /* instead: a share of the machine, 1 to 100 */
    uint32_t threads;        /* compute threads of all workers together; 0: the cores */
    uint32_t max_workers;    /* a model; 0: 4 */
    uint32_t min_workers;    /* a model; kept loaded from registration on */
    int64_t idle_ms;         /* one worker leaves each time its model was quiet so long; 0: 60 s */
    int64_t idle_label_ms; /* quiet time after which a worker is called Idle; 0: 30 s or idle_ms */
    /* Folder for packed weights and what was found out about models; NULL: nothing is kept. */
    const char *cache;
    const struct weir_limit *limits;
    size_t limits_count;
    void (*log)(void *context, enum weir_log_level level, const char *line);
    void *log_context;
    /* Every transition and decision as one JSON object, told at the end of weir_step and within
     * weir_close. Borrowed for the call. */
    void (*on_event)(void *context, const char *json, size_t bytes);
    void *event_context;
};

enum weir_priority {
    WEIR_PRIORITY_NORMAL, /* zero is the default */
    WEIR_PRIORITY_CRITICAL,
    WEIR_PRIORITY_HIGH,
    WEIR_PRIORITY_LOW,
    WEIR_PRIORITY_BATCH
};

enum weir_input_kind { WEIR_INPUT_TEXT, WEIR_INPUT_IDS, WEIR_INPUT_IMAGE };

struct weir_input {
    size_t size;
    enum weir_input_kind kind;
    const void
        *data; /* text: UTF-8; ids: int32_t in the machine's order; image: the encoded file */
    size_t bytes;
};

/* What becomes of an input that is longer than the model takes. */
enum weir_truncate {
    WEIR_TRUNCATE_AS_MODEL, /* as the model's setting `truncate` says */
    WEIR_TRUNCATE_CUT,
    WEIR_TRUNCATE_REFUSE
};

/* Whether vectors are scaled to length 1. */
enum weir_normalize {
    WEIR_NORMALIZE_AS_MODEL, /* as the model's own modules do; and what was cut, always */
    WEIR_NORMALIZE_YES,
    WEIR_NORMALIZE_NO /* texts only: without the Normalize that ends a model's modules */
};

/* WEIR_EMBED: 0 to 65536 inputs to as many vectors, in order: texts or ids for text_embedding,
 * images (the encoded files) for image_embedding. */
struct weir_embed {
    size_t size;
    const struct weir_input *inputs;
    size_t count;
    enum weir_truncate truncate;
    bool
        truncate_front; /* an input that is cut loses its beginning, with the prompt, not its end */
    enum weir_normalize normalize;
    uint32_t dimensions; /* 0: all; else cut to so many */
    /* A prompt of the model, put before each text; its name is at most 256 bytes. NULL: the model's
     * default one, if it has one. Ids stand as they are. */
    const char *prompt_name;
};

/* WEIR_TOKENIZE: texts to ids, and WEIR_DETOKENIZE: ids to texts. */
struct weir_tokenize {
    size_t size;
    const struct weir_input *inputs;
    size_t count;
    bool no_special_tokens; /* tokenize: leave out what the model's tokenizer would add */
};

/* One turn of a conversation: its texts and images in order. */
struct weir_message {
    size_t size;
    const char *role; /* "system", "user", "assistant" or "tool" */
    const struct weir_input *parts;
    size_t count;
};

/* WEIR_GENERATE: a prompt or a conversation to text, streamed. WEIR_DESCRIBE: the same, and the
 * conversation may hold images, at most 16. */
struct weir_generate {
    size_t size;
    struct weir_input prompt; /* of kind text or ids; not looked at when there are messages */
    const struct weir_message *messages;
    size_t messages_count;
    uint32_t tokens_max; /* 0: the model's own end */
    float temperature;   /* 0 to 2; 0: always the likeliest token */
    float top_p;         /* 0 to 1; 0: all tokens */
    uint32_t top_k;      /* 0: all tokens */
    uint64_t seed;       /* of the sampling, when `seeded`; else chosen by the worker */
    bool seeded;
    const char *const *stop; /* texts that end the answer and are not part of it */
    size_t stop_count;       /* at most 4, each of 1 to 1024 bytes */
};

/* WEIR_DRAW: a prompt to images. Each image is one output; on_progress tells the steps. */
struct weir_draw {
    size_t size;
    struct weir_input prompt;          /* of kind text */
    struct weir_input negative_prompt; /* of kind text; .size 0: none */
    uint32_t count;                    /* images, 1 to 10; 0: 1 */
    uint32_t width, height;            /* multiples of 16 up to 2048; 0: the model's own */
    uint32_t steps;                    /* 1 to 200; 0: the model's own */
    float guidance;                    /* 0 to 100; 0: the model's own */
    uint64_t seed;                     /* when `seeded`; image i is drawn with seed + i */
    bool seeded;
};

/* One answer or a piece of one. Everything is borrowed for the call. */
struct weir_output {
    size_t size;
    enum weir_operation operation;
    /* EMBED, all at once: row r is vectors[r * dim] … and came from input r. */
    const float *vectors;
    size_t rows;
    size_t dim;
    const uint32_t *tokens;    /* rows: tokens of each input, as the model read it */
    const uint32_t *truncated; /* indexes of inputs that were cut */
    size_t truncated_count;
    /* TOKENIZE, all at once: text r has ids[starts[r]] … ids[starts[r + 1] - 1], with as many
     * pieces. */
    const int32_t *ids;
    const struct weir_input *pieces;
    const size_t *starts; /* rows + 1 */
    /* DETOKENIZE (one call an input, in order), GENERATE and DESCRIBE (one call a piece). */
    const char *text;
    size_t bytes;
    /* DRAW (one call an image, in order): the encoded file. */
    const void *image;
    size_t image_bytes;
    uint32_t width, height;
    const char *media_type; /* "image/png" */
};

/* Why an answer of text ended. */
enum weir_finish {
    WEIR_FINISH_STOP,  /* the model's own end, or a stop text */
    WEIR_FINISH_LENGTH /* tokens_max, or the context was full */
};

struct weir_end {
    size_t size;
    struct weir_error error; /* code WEIR_OK: the request succeeded */
    uint64_t input_tokens;
    uint64_t output_tokens;
    enum weir_finish finish;
    int64_t queued_ms; /* accepted until given to a worker, the last time */
    int64_t total_ms;
};

/* on_end comes exactly once and last; no callback comes before weir_submit returned. Each may be
 * NULL. */
struct weir_callbacks {
    size_t size;
    void (*on_output)(void *context, uint64_t id, const struct weir_output *output);
    void (*on_progress)(void *context, uint64_t id, uint32_t step, uint32_t steps);
    void (*on_end)(void *context, uint64_t id, const struct weir_end *end);
};

#define WEIR_FLAG_OWN_CREDIT                                                                       \
    1u /* the caller returns credit by weir_credit; else it is returned at once */

/* keep_alive_ms besides a duration: how long the model stays after this request's end. */
#define WEIR_KEEP_ALIVE_FOREVER (-1) /* until it is unloaded, or its memory is needed */
#define WEIR_KEEP_ALIVE_NONE    (-2) /* it leaves as soon as no request is left */

/* Pointers are borrowed until weir_submit returns; callbacks until on_end. */
struct weir_request {
    size_t size;
    enum weir_capability capability;
    enum weir_operation operation;
    const char *model;
    const char *client; /* who asks: clients of a model take turns; at most 256 bytes, or NULL */
    const char *id;     /* the caller's own name for it, for logs; at most 256 bytes, or NULL */
    enum weir_priority priority; /* NORMAL: the model's own */
    uint32_t flags;
    int64_t deadline_ms;   /* from now, at most 24 days; 0: the limit `deadline_ms` */
    int64_t keep_alive_ms; /* instead of the model's idle_ms, from this request's end on; 0: that */
    uint64_t affinity;     /* hash of the conversation: it goes where it went before; or 0 */
    const struct weir_callbacks *callbacks;
    void *context;
    const void *input; /* struct weir_embed, … by operation; NULL for WEIR_LOAD */
};

/* NULL and a filled err on failure. Starts no process. */
WEIR_API struct weir *weir_open(const struct weir_options *options, struct weir_error *err);

/* Ends every request with WEIR_SHUTTING_DOWN, kills and reaps every worker; may block for it. NULL
 * is no pool: nothing is done. */
WEIR_API void weir_close(struct weir *w);

/* The request's id, never 0; 0 is a refusal without any callback. */
WEIR_API uint64_t weir_submit(struct weir *w, const struct weir_request *request,
                              struct weir_error *err);

/* The request ends with WEIR_CANCELLED; false when there is none of that id any more. */
WEIR_API bool weir_cancel(struct weir *w, uint64_t id);

/* Gives back credit for outputs that the caller has got rid of (WEIR_FLAG_OWN_CREDIT). */
WEIR_API bool weir_credit(struct weir *w, uint64_t id, uint32_t events, uint64_t bytes);

/* Readable whenever weir_step has something to do; after submit, cancel, credit and control it is
 * until the next weir_step. For any poll, epoll or event library. */
WEIR_API int weir_fd(struct weir *w);

/* Does what is due; waits up to timeout_ms for something to do (-1: for ever, 0: not at all). Fails
 * only within a callback, in a forked child, or when the pool's descriptor is of no use any
 * more. */
WEIR_API enum weir_code weir_step(struct weir *w, int timeout_ms, struct weir_error *err);

/* Takes one JSON object {"op":…}, answers one; never blocks. The answer is borrowed until the next
 * weir_control or weir_close, NUL-terminated; *answer_bytes is its length. Both may be NULL.
 *
 *   {"op":"register","name":N,"path":P, optional "max_workers","min_workers","idle_ms",
 *    "idle_label_ms","slots","context","precision":"bf16","truncate","aliases":[N],
 *    "capabilities":[C],"priority":"low","pin","preload","replace"}
 *                                   returns at once; requests queue behind inspection. With replace
 *                                   an entry of that name gives way: it serves what it has accepted
 *                                   and drains; one that differs in nothing stays as it is
 *   {"op":"unregister","name":N}    its workers drain; ends with an event
 *   {"op":"unload","name":N}        likewise, but it stays registered
 *   {"op":"pin","name":N}, {"op":"unpin","name":N}   whether its last worker may leave
 *   {"op":"configure", optional "memory_bytes","memory_percent"}   0 and 0: the default again
 *   {"op":"status"}                 the object of GET /weir/v1/status
 *   {"op":"plan","name":N}          what a load would do now: needed, leased, budget, verdict,
 *                                   victims, reason, how its weights are packed, and "about":
 *                                   what is known of the model itself, its sizes and settings
 *   {"op":"request","id":I}         {"model","state","position","predicted_wait_ms","age_ms"}
 *   {"op":"metrics"}                {"metrics":[{"name","type","help","samples":[…]}]}
 *   {"op":"models", optional "name"}   {"models":[{"name","aliases","capabilities","problem",
 *                                   "inspected","truncate","architecture","tokens_max","dim",
 *                                   "weights","precision","packed","flops_per_token"}]}
 *   {"op":"inspection"}             {"models":N,"inspected":N,"first":one that is not, or null}
 *   {"op":"able","capability":C}    {"models":N,"inspected":N,"able":how many have it,"name":one
 *                                   that has it, else the first there is, or null}
 *   {"op":"machine"}                {"build","total","available","budget","budget_source"}
 *   {"op":"drain","limit_ms":N}     refuse new requests, finish what runs, then every worker leaves
 *   {"op":"drained"}                {"drained":bool}: no request and no process is left
 */
WEIR_API enum weir_code weir_control(struct weir *w, const char *json, size_t bytes,
                                     const char **answer, size_t *answer_bytes,
                                     struct weir_error *err);

WEIR_API const char *weir_code_name(enum weir_code code);
WEIR_API const char *weir_capability_name(enum weir_capability capability);
WEIR_API const char *weir_version(void);

#ifdef __cplusplus
}
#endif

#endif
