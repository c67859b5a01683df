/* error.h — the one table of what can go wrong, and the value that carries it.
 *
 * An error is 256 bytes, passed by pointer, filled once where the fact is known, never allocated,
 * and crosses the wire between supervisor and worker unchanged. The layout is frozen. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/*    code             HTTP  retry  machine-readable name       says                                  */
/* clang-format off */
#define WEIR_CODES(X)                                                                         \
    X(OK,             200, false, "ok",                      "ok")                            \
    X(INVALID,        400, false, "invalid_request",         "the request is not valid")      \
    X(CONTEXT_LENGTH, 400, false, "context_length_exceeded", "the input is too long")         \
    X(UNAUTHORIZED,   401, false, "invalid_api_key",         "no valid API key was given")    \
    X(FORBIDDEN,      403, false, "forbidden",               "not allowed")                   \
    X(NO_SUCH_MODEL,  404, false, "model_not_found",         "no such model is registered")   \
    X(NO_SUCH_PATH,   404, false, "not_found",               "there is nothing at that path") \
    X(METHOD,         405, false, "method_not_allowed",      "method not allowed here")       \
    X(SLOW_CLIENT,    408, false, "request_timeout",         "the request came too slowly")   \
    X(EXISTS,         409, false, "already_exists",          "that name is taken")            \
    X(BODY_TOO_LARGE, 413, false, "body_too_large",          "the request body is too large") \
    X(MEDIA_TYPE,     415, false, "unsupported_media_type",  "content type not supported")    \
    X(EXPECTATION,    417, false, "expectation_failed",      "that expectation is not met")   \
    X(QUARANTINED,    422, false, "input_quarantined",       "this input ended two workers")  \
    X(QUEUE_FULL,     429, true,  "queue_full",              "the queue is full")             \
    X(HEAD_TOO_LARGE, 431, false, "head_too_large",          "the request head is too large") \
    X(CANCELLED,      499, false, "cancelled",               "the request was cancelled")     \
    X(MODEL_FAILED,   500, false, "model_failed",            "the model failed on this")      \
    X(LOAD_FAILED,    500, false, "model_load_failed",       "the model could not be loaded") \
    X(INTERNAL,       500, false, "internal_error",          "an internal error occurred")    \
    X(UNSUPPORTED,    501, false, "not_supported",           "that is not supported")         \
    X(WORKER_LOST,    502, true,  "worker_lost",             "the worker process was lost")   \
    X(SHUTTING_DOWN,  503, true,  "shutting_down",           "the server is shutting down")   \
    X(UNAVAILABLE,    503, true,  "model_unavailable",       "the model failed lately")       \
    X(NO_MEMORY,      503, true,  "no_memory_now",           "not enough memory now")         \
    X(DEADLINE,       504, false, "deadline_exceeded",       "the request took too long")     \
    X(TOO_BIG,        507, false, "model_too_large",         "larger than the memory budget")
/* clang-format on */

enum weir_code {
#define X(NAME, http, retry, name, says) WEIR_##NAME,
    WEIR_CODES(X)
#undef X
        WEIR_CODE_COUNT
};

struct weir_error {
    enum weir_code code;
    int os_errno;           /* 0, or the errno that caused it */
    int64_t value;          /* the number that was too large, or 0 */
    int64_t limit;          /* the limit that it met, or 0 */
    int64_t retry_after_ms; /* 0: no advice */
    int32_t index;          /* of the input at fault, or -1 */
    char text[220];         /* one sentence naming the thing, the limit and the number */
};
#ifdef __cplusplus
static_assert(sizeof(struct weir_error) == 256, "weir_error travels by value");
#else
_Static_assert(sizeof(struct weir_error) == 256, "weir_error travels by value");
#endif

#endif
