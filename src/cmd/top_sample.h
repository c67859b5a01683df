/* top_sample.h — what `weir top` knows of a server at one moment, and what it remembers of the
 * moments before.
 *
 * Pure: a sample is read from the texts of the status and of the metrics; time is what the caller
 * says. Whatever a server sends is bounded and becomes printable ASCII here, so that nothing behind
 * has to look at it again. */
#ifndef CMD_TOP_SAMPLE_H
#define CMD_TOP_SAMPLE_H

#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_STRIP 60 /* samples that a strip remembers */

struct top_worker {
    int64_t id, jobs, slots, idle_ms;
    uint64_t leased_bytes, measured_bytes;
    size_t model;   /* its place among the models */
    char state[12]; /* "Processing"; the first letters differ */
};

struct top_model {
    char name[64];
    char breaker[12];
    int64_t queue, oldest_ms, predicted_ms;
    double requests, failures; /* that ended since the server began; -1: not known */
    bool pinned, has_problem;
};

struct top_sample {
    int64_t time_ms;
    uint64_t leased_bytes, measured_bytes, budget_bytes;
    char pressure[12];
    struct top_model *models;
    size_t models_count;
    struct top_worker *workers;
    size_t workers_count;
};

/* From the object of GET /weir/v1/status and the text of GET /metrics (empty: no rates). */
void top_sample_read(struct top_sample *s, const json_t *status, struct str metrics,
                     int64_t time_ms);
void top_sample_finish(struct top_sample *s);

/* The states of a worker, oldest first. */
struct top_strip {
    int64_t worker;
    char letters[TOP_STRIP + 1];
    bool seen; /* in the newest sample */
};

struct top_history {
    struct top_sample now, before; /* zeroed: there is none */
    struct top_strip *strips;
    size_t strips_count;
    size_t samples;
};

/* Takes the sample. */
void top_history_give(struct top_history *h, struct top_sample *sample);
/* A moment at which no server answered: the strips go on with blanks. */
void top_history_miss(struct top_history *h);
void top_history_finish(struct top_history *h);

const char *top_history_strip(const struct top_history *h, int64_t worker);
/* Requests of a model (NULL: of all) that ended a second, or failed; -1 when that is not known. */
double top_history_rate(const struct top_history *h, const char *model, bool failed);

#endif
