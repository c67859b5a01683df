/* metrics_text.h — Prometheus' text format, version 0.0.4. Pure: values in, bytes out.
 *
 * A family is announced once, with its HELP and TYPE, and its samples follow. Values of labels and
 * help texts are escaped; bounds of buckets are in their shortest form, the last is +Inf. */
#ifndef SERVER_METRICS_TEXT_H
#define SERVER_METRICS_TEXT_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/str.h"

#include <stddef.h>

struct metrics_label {
    const char *name;
    struct str value;
};

void metrics_text_family(struct buffer *out, const char *name, const char *type, const char *help);
void metrics_text_sample(struct buffer *out, const char *name, const struct metrics_label *labels,
                         size_t count, double value);
void metrics_text_histogram(struct buffer *out, const char *name, const struct metrics_label *label,
                            const struct histogram *h);

/* All families of the pool's answer to {"op":"metrics"}. An answer of another shape is
 * WEIR_INTERNAL. */
enum weir_code metrics_text_pool(struct buffer *out, struct str answer, struct weir_error *err);

#endif
