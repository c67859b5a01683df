/* backend.h — who does the work of embed and tokenize: a server, or the pool inside this command.
 *
 * backend_open decides once. A name goes to the server at $WEIR_HOST when one answers there and
 * knows it; a path, --local, or a server that is not there or does not know the name mean the local
 * pool. What was decided holds for the whole run: a server that fails later is an error. */
#ifndef CMD_BACKEND_H
#define CMD_BACKEND_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/bodies.h"
#include "cmd/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Vectors of a batch; row r came from text r. */
struct embeddings {
    float *vectors; /* rows * dim */
    uint32_t *tokens;
    size_t rows, dim;
};
void embeddings_finish(struct embeddings *e);

struct backend;
struct backend_ops {
    const char *name;
    enum weir_code (*embed)(struct backend *b, const struct str *texts, size_t count,
                            const struct embed_choice *choice, struct embeddings *out,
                            struct weir_error *err);
    /* Append one line of output a text, as bodies.h describes them. */
    enum weir_code (*tokenize)(struct backend *b, const struct str *texts, size_t count,
                               bool special, struct buffer *lines, struct weir_error *err);
    enum weir_code (*detokenize)(struct backend *b, const int32_t *ids, size_t count,
                                 struct buffer *lines, struct weir_error *err);
    void (*close)(struct backend *b);
};
struct backend {
    const struct backend_ops *ops;
};

struct backend_choice {
    const char *verb; /* for the words on stderr */
    bool local;
    struct pool_settings pool;
};

enum weir_code backend_open(const char *model, const struct backend_choice *choice,
                            struct backend **out, struct weir_error *err);
void backend_close(struct backend *b); /* NULL is fine */

/* The two kinds. *answered tells whether a server is there, whatever it said. WEIR_NO_SUCH_MODEL
 * and an unanswered connection are what backend_open takes as "not there". */
enum weir_code backend_remote_open(const char *model, struct backend **out, bool *answered,
                                   struct weir_error *err);
enum weir_code backend_local_open(const char *model, const struct pool_settings *settings,
                                  struct backend **out, struct weir_error *err);

#endif
