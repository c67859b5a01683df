/* verb.h — a verb of the program: `weir VERB …`.
 *
 * One file a verb, one row a verb in the table of verb.c; help and the reading of options come from
 * the rows. A verb returns the exit status: 0 success, 1 failure, 2 wrong usage, 128 + n ended by
 * signal n. */
#ifndef CMD_VERB_H
#define CMD_VERB_H

#include "cmd/options.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;

struct verb {
    const char *name;
    const char *arguments; /* behind the options, for the usage line */
    const char *summary;   /* one line of `weir help` */
    const char *details;   /* the paragraphs of `weir help VERB` */
    const struct option *options;
    size_t options_count;
    int (*run)(const struct verb *verb, int argc, char **argv); /* argv[0]: first behind the verb */
};

extern const struct verb verb_serve, verb_embed, verb_tokenize, verb_ps, verb_top, verb_ls,
    verb_show, verb_plan, verb_load, verb_unload, verb_pin, verb_unpin, verb_bench, verb_doctor,
    verb_help, verb_version;

extern const struct verb *const verbs[];
extern const size_t verbs_count;

const struct verb *verb_find(const char *name);
/* The name of the verb most like it, or NULL. */
const char *verb_nearest(const char *name);
void verb_print_help(const struct verb *verb, struct buffer *out);

/* Reads the verb's options into `target`. False when the verb is over already: *status is 0 when
 * its help was asked for (and printed), 2 when the options are wrong (and that was said on stderr).
 */
bool verb_begin(const struct verb *verb, struct options *o, void *target, int argc, char **argv,
                int *status);

/* "weir embed: TEXT" and where help is found, on stderr; returns 2. */
int verb_misused(const struct verb *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "weir embed: TEXT" on stderr; returns 1. */
int verb_failed(const struct verb *verb, const struct weir_error *err);

/* Writes the buffer to stdout, at once. WEIR_CANCELLED: nobody reads it any more. */
enum weir_code verb_write(const struct buffer *out, struct weir_error *err);

/* The last act of a verb: writes the buffer, frees it and gives the exit status. */
int verb_end(const struct verb *verb, struct buffer *out);

/* The exit status for how the work ended, which is said on stderr. WEIR_CANCELLED is quiet: a
 * signal (its number is err->value), or a reader of stdout that went away, which is no failure. */
int verb_status(const struct verb *verb, enum weir_code code, const struct weir_error *err);

#endif
