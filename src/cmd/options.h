/* options.h — the options of a verb as one table, which drives everything that is said about them.
 *
 * A row names the option, its type, where its value goes in the verb's own struct, its default, its
 * range, its WEIR_ variable and one sentence of help. From it come the reading of `--name value`
 * and
 * `--name=value`, of the environment, `weir help VERB`, `--print-config` and every message about a
 * wrong value. A flag beats the environment, which beats the default. Borrows the texts of argv and
 * the environment, which last as long as the program. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
    OPTION_STRING,   /* const char *; NULL when not given */
    OPTION_LIST,     /* struct option_list; repeatable, in the environment split at white space */
    OPTION_MEMORY,   /* struct option_memory: "6GiB", "50%" */
    OPTION_DURATION, /* int64_t, milliseconds: "60", "1.5s", "200ms" */
    OPTION_INTEGER,  /* int64_t */
    OPTION_FLAG,     /* bool */
    OPTION_CHOICE    /* int: the place of the word in `choices` */
};

struct option_list {
    const char **items;
    size_t count;
};

struct option_memory {
    uint64_t bytes; /* 0 when a share is given, or nothing */
    uint32_t percent;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;        /* of the value in the verb's struct */
    char letter;          /* "-o" for --output, or 0 */
    const char *argument; /* what the help calls the value */
    const char
        *environment;     /* variable, or NULL. A list's that ends in '_' stands for all that begin
                                  so: WEIR_LIMIT_INPUTS=9 is --limit inputs=9; flags add to them */
    const char *fallback; /* the default, read like a value; NULL leaves the field zero */
    const char *fallback_says; /* how help describes a default that is not a fixed value */
    int64_t least, most;       /* of INTEGER and DURATION, in the field's own unit */
    const char *choices;       /* "text|json" */
    const char *help;
};

/* A row of a table; the members that it does not name are zero. */
#define OPTION(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

enum option_source { OPTION_FROM_DEFAULT, OPTION_FROM_ENVIRONMENT, OPTION_FROM_FLAG };

struct option_value {
    enum option_source source;
    const char *text;         /* as it was given; NULL for lists and when not given */
    size_t environment_count; /* leading items of a list that the environment gave */
};

struct options {
    const struct option *table;
    size_t count;
    void *target;
    struct option_value *values; /* one a row */
    const char **rest;           /* arguments that are no options, in order */
    size_t rest_count;
    bool wants_help; /* --help was among them */
    struct arena arena;
};

/* Fills the target's fields; argv[0] is the first argument behind the verb. WEIR_INVALID says what
 * is wrong in one sentence. options_finish is due in either case. */
enum weir_code options_read(struct options *o, const struct option *table, size_t count,
                            void *target, int argc, char *const *argv, char *const *environment,
                            struct weir_error *err);
void options_finish(struct options *o);

/* One paragraph an option. */
void options_help(const struct option *table, size_t count, FILE *out);

/* `name = value  (source)`, one line an option, one a list item. */
void options_print(const struct options *o, FILE *out);

/* The word of `count` words most like `word`, or NULL when none is near enough to be meant. */
const char *options_nearest(const char *word, const char *const *words, size_t count);

#endif
