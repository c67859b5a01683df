/* options.h — the options of a verb as one table, which drives everything that is said about them.
 *
 * A row names the option, its type, where its value goes in the verb's own struct, its default, its
 * range, its WEIR_ variable and one sentence of help. From it come the reading of `--name value`
 * and `--name=value`, of the environment and of a configuration file, `weir help VERB`,
 * `--print-config` and every message about a wrong value. A flag beats the environment, which beats
 * the file, which beats the default. Borrows the texts of all its sources. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    const char *words;         /* "a=|b=": what a shell offers where any value may stand */
    bool flag_only;            /* a configuration file cannot say it */
    const char *help;
};

/* A row of a table; the members that it does not name are zero. */
#define OPTION(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* The stronger, the later. */
enum option_source {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_FILE,
    OPTION_FROM_ENVIRONMENT,
    OPTION_FROM_FLAG
};

/* One `name = value` of a configuration file; in the name '_' and '-' are the same. */
struct option_setting {
    const char *name, *value;
    const char *origin; /* "/etc/weir/weir.conf:3" */
};

/* Where values come from; all of it is optional. */
struct option_sources {
    int argc; /* argv[0] is the first argument behind the verb */
    char *const *argv;
    char *const *environment;
    const struct option_setting *settings;
    size_t settings_count;
};

struct option_value {
    enum option_source source;  /* the strongest one that gave it */
    const char *text;           /* as it was given; NULL for lists and when not given */
    const char *origin;         /* "flag", "environment WEIR_IDLE", "weir.conf:3", "default" */
    struct option_list origins; /* of a list: one an item */
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

/* Fills the target's fields. WEIR_INVALID says what is wrong in one sentence. options_finish is due
 * in either case. */
enum weir_code options_read(struct options *o, const struct option *table, size_t count,
                            void *target, const struct option_sources *from,
                            struct weir_error *err);
void options_finish(struct options *o);

/* One paragraph an option. */
void options_help(const struct option *table, size_t count, struct buffer *out);

/* "1 to 64", "0.001 to 60 seconds"; empty where a row has no range. */
void options_range(const struct option *row, char *out, size_t room);
/* "WEIR_IDLE", "WEIR_LIMIT_NAME"; empty where a row has no variable. */
void options_variable(const struct option *row, char *out, size_t room);
/* What stands for the default; NULL where nothing does. */
const char *options_fallback(const struct option *row);

/* `name = value  (origin)`, one line an option, one a list item. */
void options_print(const struct options *o, struct buffer *out);

/* How a row of that name was said; the row must exist. */
const struct option_value *options_value(const struct options *o, const char *name);

/* Puts before an error which value it is about, as the user wrote it: "--model", or the line of the
 * file. `item` counts within a list. Returns the error's code. */
enum weir_code options_wrap(const struct options *o, const char *name, size_t item,
                            struct weir_error *err);

/* Whether two readings of one table gave a row the same value, wherever they have it from. */
bool options_same(const struct options *a, const struct options *b, size_t row);

/* The word of `count` words most like `word`, or NULL when none is near enough to be meant. */
const char *options_nearest(const char *word, const char *const *words, size_t count);

#endif
