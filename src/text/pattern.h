/* pattern.h — what a file's Split and Replace look for: a string, or a regular expression.
 *
 * Files write expressions for Oniguruma in its Ruby dialect, and PCRE2 runs them here, so
 * pattern_syntax.h translates; what would not mean the same is refused by name when the file is
 * read. A match may take PATTERN_MATCH_LIMIT steps and PATTERN_MATCH_STEPS for each byte of the
 * text: beyond that the pattern gives up and the text is refused. */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct field;
struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;

#define PATTERN_BYTES_MAX   4096
#define PATTERN_MATCH_STEPS 4
#define PATTERN_MATCH_LIMIT 10000000

struct pattern {
    char *literal; /* owned; NULL: the expression counts */
    size_t literal_len;
    struct pcre2_real_code_8 *code;
};

/* `f` is an object: {"String": …} or {"Regex": …}. pattern_finish is due after a failure too. */
enum weir_code pattern_load(struct pattern *p, const struct field *f, struct weir_error *err);
/* From an expression; `f` is named in errors. */
enum weir_code pattern_compile(struct pattern *p, const struct field *f, struct str expression,
                               struct weir_error *err);
void pattern_finish(struct pattern *p);

/* What matching needs for itself, one a thread. All zeros is ready. */
struct pattern_work {
    struct pcre2_real_match_data_8 *data;
    struct pcre2_real_match_context_8 *limits;
    bool gave_up; /* stays */
    bool no_memory;
};
void pattern_work_finish(struct pattern_work *w);

/* A walk over the matches in a text, from left to right, none within another. An empty match right
 * behind a match does not count. */
struct pattern_scan {
    const struct pattern *pattern;
    struct pattern_work *work;
    struct str text;
    size_t at;       /* where to look on */
    size_t last_end; /* of the match before; SIZE_MAX: there was none */
};
struct pattern_scan pattern_scan(const struct pattern *p, struct pattern_work *w, struct str text);
/* False when there are no more, or when the pattern gave up or found no memory. */
bool pattern_next(struct pattern_scan *s, size_t *out_start, size_t *out_end);

#endif
