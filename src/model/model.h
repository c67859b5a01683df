/* model.h — a model folder made usable: inspected from its headers, or loaded as an encoder.
 *
 * Inspection reads configuration and the weights' headers, never the weights; its plan is exact
 * for this CPU's kernels, with one allowance (the tokenizer, priced by its file and the pieces that
 * the model has embeddings for). Loading goes on from there, maps the packed weights or packs a
 * private copy and takes all memory that embedding will need. What is wrong with the files is
 * WEIR_LOAD_FAILED and names the file, the tensor, what was expected and what was found. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/error.h"
#include "model/transformer.h"
#include "tensor/precision.h"
#include "weir/capability.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct team;
struct tokenizer;

/* From headers and configuration only. */
struct model_info {
    char architecture[32];  /* "bert" */
    uint8_t digest[32];     /* SHA-256 over header bytes, configuration and file sizes */
    uint32_t capabilities;  /* a bit an enum weir_capability */
    uint64_t weights_bytes; /* mapped: all files of weights */
    uint64_t packed_bytes[PRECISION_COUNT]; /* what is made of them, for each precision */
    uint64_t fixed_bytes;                   /* private: activations, tokenizer */
    uint64_t per_slot_bytes;                /* ids and vector of one input */
    uint64_t per_token_bytes;               /* 0: an encoder keeps no state */
    uint64_t scratch_per_thread_bytes;
    uint64_t flops_per_token; /* of the matrix products, without attention's own */
    uint32_t positions;       /* what the model can hold */
    uint32_t tokens_max;      /* limit of one input, special tokens included */
    uint32_t dim;
    uint32_t vocab;
    uint32_t slots;    /* default number of jobs together */
    char prompts[256]; /* as prompts_names writes them */
    uint32_t default_prompt;
};

struct model_settings {
    uint32_t context;         /* 0: the model's own limit; else that limit, at most the positions */
    enum precision precision; /* of the packed weights */
    const char *cache;        /* folder where model_prepare put them; NULL: a private copy */
};

enum weir_code model_inspect(const char *path, const struct model_settings *settings,
                             struct model_info *out, struct weir_error *err);

/* Makes the packed weights in settings->cache, or finds them there. `tick` as for encoder_load. */
enum weir_code model_prepare(const char *path, const struct model_settings *settings,
                             void (*tick)(void *context), void *context, struct weir_error *err);

/* A batch of so many tokens is computed at full speed; more would only make those wait who come
 * meanwhile. */
#define ENCODER_BATCH_TOKENS 1024

struct encoder;

/* The two halves of loading: headers, from which encoder_info is known, and all the rest. After a
 * failure of the second the encoder is only good for encoder_destroy. */
enum weir_code encoder_open(const char *path, struct encoder **out, struct weir_error *err);
enum weir_code encoder_complete(struct encoder *e, const struct model_settings *settings,
                                struct team *team, void (*tick)(void *context), void *context,
                                struct weir_error *err);
/* Both at once. `tick` (may be NULL) is called once a layer, while loading and while embedding, by
 * the caller's thread; `context` is its own. The team is borrowed and outlives the encoder. */
enum weir_code encoder_load(const char *path, const struct model_settings *settings,
                            struct team *team, void (*tick)(void *context), void *context,
                            struct encoder **out, struct weir_error *err);
void encoder_destroy(struct encoder *e); /* NULL is fine */

/* All three are borrowed from the encoder, or say what holds until its end. */
const struct model_info *encoder_info(const struct encoder *e);
const struct tokenizer *encoder_tokenizer(const struct encoder *e);
/* At most so many tokens in one encoder_embed: ENCODER_BATCH_TOKENS, or the model's positions where
 * they are more. */
size_t encoder_batch_tokens(const struct encoder *e);

/* The text that the model wants before an input, borrowed from the encoder: the one called `name`,
 * or of an empty name the model's own choice, which may be an empty text. `*out_pooled` says
 * whether its tokens are pooled; where they are not, a sequence skips them. WEIR_INVALID lists the
 * names that are known. */
enum weir_code encoder_prompt(const struct encoder *e, struct str name, struct str *out_text,
                              bool *out_pooled, struct weir_error *err);

/* Vectors as the model's modules make them, [count][dim]: of unit length where the last one is
 * Normalize. The sum of the counts must not exceed encoder_batch_tokens. WEIR_INVALID names an
 * empty sequence, one that skips all its tokens or an id the model has not, WEIR_CONTEXT_LENGTH a
 * sequence that is too long (index, value and limit are set); then `out` stays as it was. After
 * WEIR_MODEL_FAILED, for a vector with numbers that are not finite, nothing in `out` counts. */
enum weir_code encoder_embed(struct encoder *e, const struct sequence *sequences, size_t count,
                             float *out, struct weir_error *err);

#endif
