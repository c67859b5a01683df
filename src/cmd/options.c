#include "cmd/options.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

#include <string.h>

#define TEXT_MAX (4 * MiB)

static void *field(const struct options *o, size_t row)
{
    return (char *)o->target + o->table[row].offset;
}

static void list_add(struct options *o, struct option_list *list, const char *item)
{
    const size_t n = list->count;
    if ((n & (n - 1)) == 0) { /* full: it has room for a power of two */
        const char **const grown = arena_try(&o->arena, n > 0 ? 2 * n : 1, sizeof(*grown));
        CHECK(grown != NULL); /* the arena is larger than what the kernel hands over as arguments */
        if (n > 0)
            memcpy(grown, list->items, n * sizeof(*grown));
        list->items = grown;
    }
    list->items[list->count++] = item;
}

static const char *keep(struct options *o, struct str text)
{
    const struct str kept = arena_str(&o->arena, text);
    CHECK(kept.data != NULL);
    return kept.data;
}

/* "0.001 to 31536000 seconds": the range as the user writes values. */
static void say_range(const struct option *row, char *out, size_t room)
{
    if (row->type == OPTION_DURATION)
        str_print(out, room, "%g to %.0f seconds", (double)row->least / 1000,
                  (double)row->most / 1000);
    else
        str_print(out, room, "%lld to %lld", (long long)row->least, (long long)row->most);
}

static enum weir_code read_memory(const char *text, struct option_memory *out,
                                  struct weir_error *err)
{
    struct str s = str_of(text);
    uint64_t number;
    if (str_ends(s, STR("%"))) {
        s.len--;
        if (!str_to_u64(s, &number) || number < 1 || number > 100)
            return weir_fail(err, WEIR_INVALID, "'%s' is not within 1%% to 100%%", text);
        *out = (struct option_memory){ .percent = (uint32_t)number };
        return WEIR_OK;
    }
    const enum weir_code code = size_parse(text, &number, err);
    if (code != WEIR_OK)
        return code;
    if (number == 0)
        return weir_fail(err, WEIR_INVALID, "'%s' is no memory at all: at least 1 byte", text);
    if (number > INT64_MAX) /* what a running pool can be told */
        return weir_fail(err, WEIR_INVALID, "'%s' is more than 2^63 - 1 bytes", text);
    *out = (struct option_memory){ .bytes = number };
    return WEIR_OK;
}

static enum weir_code read_number(const struct option *row, const char *text, int64_t *out,
                                  struct weir_error *err)
{
    int64_t value;
    char range[96];
    if (row->type == OPTION_DURATION) {
        const enum weir_code code = size_parse_duration(text, 1000, &value, err);
        if (code != WEIR_OK)
            return code;
    } else if (!str_to_i64(str_of(text), &value)) {
        return weir_fail(err, WEIR_INVALID, "'%s' is not a whole number", text);
    }
    if (value < row->least || value > row->most) {
        say_range(row, range, sizeof(range));
        return weir_fail(err, WEIR_INVALID, "'%s' is not within %s", text, range);
    }
    *out = value;
    return WEIR_OK;
}

static enum weir_code read_choice(const struct option *row, const char *text, int *out,
                                  struct weir_error *err)
{
    struct str rest = str_of(row->choices), word;
    for (int i = 0; rest.len > 0; i++) {
        str_cut(rest, '|', &word, &rest);
        if (str_eq(word, str_of(text))) {
            *out = i;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_INVALID, "'%s' is none of %s", text, row->choices);
}

static enum weir_code read_flag(const char *text, bool *out, struct weir_error *err)
{
    static const struct {
        const char *word;
        bool means;
    } rows[] = {
        {"yes",    true },
        { "no",    false},
        { "true",  true },
        { "false", false},
        { "on",    true },
        { "off",   false},
        { "1",     true },
        { "0",     false},
        { "",      false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (strcmp(text, rows[i].word) == 0) {
            *out = rows[i].means;
            return WEIR_OK;
        }
    }
    return weir_fail(err, WEIR_INVALID, "'%s' is neither yes nor no", text);
}

static bool is_merged(const struct option *option)
{
    return option->environment != NULL && str_ends(str_of(option->environment), STR("_"));
}

/* A stronger source replaces what weaker ones put into a list, unless items of all count. */
static void add_item(struct options *o, size_t row, const char *text, enum option_source source,
                     const char *origin)
{
    struct option_value *const value = &o->values[row];
    struct option_list *const list = field(o, row);
    if (source > value->source && !is_merged(&o->table[row])) {
        *list = (struct option_list){ NULL, 0 };
        value->origins = (struct option_list){ NULL, 0 };
    }
    list_add(o, list, text);
    list_add(o, &value->origins, origin);
}

/* Reads one value into its field, whatever it comes from. */
static enum weir_code set(struct options *o, size_t row, const char *text,
                          enum option_source source, const char *origin, struct weir_error *err)
{
    const struct option *const option = &o->table[row];
    enum weir_code code = WEIR_OK;
    switch (option->type) {
    case OPTION_STRING: *(const char **)field(o, row) = text; break;
    case OPTION_LIST: add_item(o, row, text, source, origin); break;
    case OPTION_MEMORY: code = read_memory(text, field(o, row), err); break;
    case OPTION_DURATION:
    case OPTION_INTEGER: code = read_number(option, text, field(o, row), err); break;
    case OPTION_FLAG: code = read_flag(text, field(o, row), err); break;
    case OPTION_CHOICE: code = read_choice(option, text, field(o, row), err); break;
    }
    if (code == WEIR_OK) {
        o->values[row].source = source;
        o->values[row].text = option->type == OPTION_LIST ? NULL : text;
        o->values[row].origin = origin;
    }
    return code;
}

static enum weir_code read_variable(struct options *o, size_t row, const char *name,
                                    const char *text, struct weir_error *err)
{
    const struct option *const option = &o->table[row];
    struct buffer item;
    buffer_init(&item, TEXT_MAX);
    buffer_printf(&item, "environment %s", name);
    const char *const origin = keep(o, buffer_view(&item));
    buffer_clear(&item);
    if (is_merged(option)) { /* WEIR_LIMIT_QUEUE_JOBS=5: an item "queue_jobs=5" */
        for (const char *c = name + strlen(option->environment); *c != '\0'; c++)
            buffer_u8(&item, (uint8_t)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c));
        buffer_printf(&item, "=%s", text);
        const char *const kept = keep(o, buffer_view(&item));
        buffer_finish(&item);
        return set(o, row, kept, OPTION_FROM_ENVIRONMENT, origin, err);
    }
    buffer_finish(&item);
    if (option->type != OPTION_LIST) {
        if (set(o, row, text, OPTION_FROM_ENVIRONMENT, origin, err) != WEIR_OK)
            return weir_wrap(err, "%s (--%s)", name, option->name);
        return WEIR_OK;
    }
    static const char white[] = " \t\n";
    for (const char *at = text + strspn(text, white); *at != '\0'; at += strspn(at, white)) {
        const size_t len = strcspn(at, white);
        set(o, row, keep(o, (struct str){ at, len }), OPTION_FROM_ENVIRONMENT, origin, NULL);
        at += len;
    }
    return WEIR_OK;
}

static enum weir_code read_environment(struct options *o, char *const *environment,
                                       struct weir_error *err)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        struct str name, value;
        if (!str_cut(str_of(*environment), '=', &name, &value) || !str_starts(name, STR("WEIR_")))
            continue;
        for (size_t i = 0; i < o->count; i++) {
            const struct option *const option = &o->table[i];
            if (option->environment == NULL)
                continue;
            const struct str wanted = str_of(option->environment);
            const bool matches = is_merged(option)
                                     ? str_starts(name, wanted) && name.len > wanted.len
                                     : str_eq(name, wanted);
            if (!matches || (value.len == 0 && !is_merged(option)))
                continue; /* an empty variable is one that is not set */
            const enum weir_code code = read_variable(o, i, keep(o, name), value.data, err);
            if (code != WEIR_OK)
                return code;
        }
    }
    return WEIR_OK;
}

static void read_defaults(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        struct weir_error err;
        struct option_list *const list = field(o, i);
        const bool given = o->values[i].source != OPTION_FROM_DEFAULT;
        if (o->table[i].fallback == NULL || given)
            continue;
        CHECK(o->table[i].type != OPTION_LIST || list->count == 0);
        CHECK(set(o, i, o->table[i].fallback, OPTION_FROM_DEFAULT, "default", &err) == WEIR_OK);
    }
}

static size_t find(const struct options *o, struct str name)
{
    for (size_t i = 0; i < o->count; i++) {
        if (str_eq(name, str_of(o->table[i].name)))
            return i;
    }
    return o->count;
}

static const char *nearest_name(const struct options *o, struct str name)
{
    const char *names[64];
    char word[64];
    CHECK(o->count <= ARRAY_COUNT(names));
    for (size_t i = 0; i < o->count; i++)
        names[i] = o->table[i].name;
    str_print(word, sizeof(word), "%.*s", STR_ARG(name));
    return options_nearest(word, names, o->count);
}

static enum weir_code unknown_option(const struct options *o, const char *given, struct str name,
                                     struct weir_error *err)
{
    const char *const near = nearest_name(o, name);
    if (near != NULL)
        return weir_fail(err, WEIR_INVALID, "there is no option '%s', perhaps --%s?", given, near);
    return weir_fail(err, WEIR_INVALID,
                     "there is no option '%s' ('--' comes before arguments that begin with '-')",
                     given);
}

/* max-workers is --max-workers here, and max_workers is as good. */
static bool names_row(const struct option *row, const char *name)
{
    const char *wanted = row->name;
    for (; *name != '\0' && *wanted != '\0'; name++, wanted++) {
        const bool both_join = (*name == '_' || *name == '-') && (*wanted == '_' || *wanted == '-');
        if (*name != *wanted && !both_join)
            return false;
    }
    return *name == *wanted;
}

static enum weir_code read_setting(struct options *o, const struct option_setting *setting,
                                   struct weir_error *err)
{
    size_t row = 0;
    while (row < o->count && !names_row(&o->table[row], setting->name))
        row++;
    if (row == o->count) {
        const char *const near = nearest_name(o, str_of(setting->name));
        return weir_fail(err, WEIR_INVALID, "%s: there is no setting '%s'%s%s%s", setting->origin,
                         setting->name, near != NULL ? ", perhaps '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
    }
    const struct option_value *const value = &o->values[row];
    if (o->table[row].flag_only)
        return weir_fail(err, WEIR_INVALID, "%s: '%s' is for the command line only",
                         setting->origin, setting->name);
    if (value->source == OPTION_FROM_FILE && o->table[row].type != OPTION_LIST)
        return weir_fail(err, WEIR_INVALID, "%s: '%s' was set before, at %s", setting->origin,
                         setting->name, value->origin);
    if (set(o, row, setting->value, OPTION_FROM_FILE, setting->origin, err) != WEIR_OK)
        return weir_wrap(err, "%s: %s", setting->origin, setting->name);
    return WEIR_OK;
}

static enum weir_code read_settings(struct options *o, const struct option_setting *settings,
                                    size_t count, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    for (size_t i = 0; i < count && code == WEIR_OK; i++)
        code = read_setting(o, &settings[i], err);
    return code;
}

/* Takes argument `at` apart: which row it is, and the value after '=' when it has one. */
static enum weir_code find_option(const struct options *o, const char *given, size_t *row,
                                  const char **value, struct weir_error *err)
{
    struct str name = str_of(given), behind;
    *value = NULL;
    if (given[1] != '-') {
        for (*row = 0; *row < o->count; ++*row) {
            if (o->table[*row].letter != '\0' && o->table[*row].letter == given[1]) {
                *value = given[2] != '\0' ? given + 2 : NULL;
                return WEIR_OK;
            }
        }
        return unknown_option(o, given, str_of(given + 1), err);
    }
    name.data += 2;
    name.len -= 2;
    if (str_cut(name, '=', &name, &behind))
        *value = behind.data;
    *row = find(o, name);
    return *row < o->count ? WEIR_OK : unknown_option(o, given, name, err);
}

static enum weir_code read_arguments(struct options *o, int argc, char *const *argv,
                                     struct weir_error *err)
{
    bool only_rest = false;
    for (int i = 0; i < argc; i++) {
        const char *const given = argv[i];
        size_t row;
        const char *value;
        if (only_rest || given[0] != '-' || given[1] == '\0') {
            o->rest[o->rest_count++] = given;
            continue;
        }
        if (strcmp(given, "--") == 0) {
            only_rest = true;
            continue;
        }
        if (strcmp(given, "--help") == 0 || strcmp(given, "-h") == 0) {
            o->wants_help = true;
            continue;
        }
        enum weir_code code = find_option(o, given, &row, &value, err);
        if (code != WEIR_OK)
            return code;
        if (o->table[row].type == OPTION_FLAG && value == NULL)
            value = "yes";
        if (value == NULL) {
            if (i + 1 >= argc)
                return weir_fail(err, WEIR_INVALID, "--%s needs a value: --%s %s",
                                 o->table[row].name, o->table[row].name, o->table[row].argument);
            value = argv[++i];
        }
        if (set(o, row, value, OPTION_FROM_FLAG, "flag", err) != WEIR_OK)
            return weir_wrap(err, "--%s", o->table[row].name);
    }
    return WEIR_OK;
}

enum weir_code options_read(struct options *o, const struct option *table, size_t count,
                            void *target, const struct option_sources *from, struct weir_error *err)
{
    *o = (struct options){ .table = table, .count = count, .target = target };
    arena_init(&o->arena, 64 * MiB);
    o->values = mem_new(count > 0 ? count : 1, sizeof(*o->values));
    for (size_t i = 0; i < count; i++)
        o->values[i].origin = "default";
    o->rest = mem_new((size_t)from->argc + 1, sizeof(*o->rest));
    enum weir_code code = read_settings(o, from->settings, from->settings_count, err);
    if (code == WEIR_OK)
        code = read_environment(o, from->environment, err);
    if (code == WEIR_OK)
        code = read_arguments(o, from->argc, from->argv, err);
    if (code == WEIR_OK)
        read_defaults(o);
    return code;
}

void options_finish(struct options *o)
{
    arena_finish(&o->arena);
    mem_free(o->values);
    mem_free(o->rest);
    *o = (struct options){ .table = o->table };
}

void options_range(const struct option *row, char *out, size_t room)
{
    out[0] = '\0';
    if (row->type == OPTION_INTEGER || row->type == OPTION_DURATION)
        say_range(row, out, room);
}

void options_variable(const struct option *row, char *out, size_t room)
{
    str_print(out, room, "%s%s", row->environment != NULL ? row->environment : "",
              is_merged(row) ? "NAME" : "");
}

const char *options_fallback(const struct option *row)
{
    return row->fallback_says != NULL ? row->fallback_says : row->fallback;
}

void options_help(const struct option *table, size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct option *const row = &table[i];
        char text[96];
        buffer_printf(out, "  --%s%s%s", row->name, row->type == OPTION_FLAG ? "" : " ",
                      row->type == OPTION_FLAG ? "" : row->argument);
        if (row->letter != '\0')
            buffer_printf(out, ", -%c %s", row->letter, row->argument);
        buffer_printf(out, "\n      %s\n", row->help);
        options_range(row, text, sizeof(text));
        if (text[0] != '\0')
            buffer_printf(out, "      Range: %s.\n", text);
        if (row->choices != NULL)
            buffer_printf(out, "      One of: %s.\n", row->choices);
        if (options_fallback(row) != NULL)
            buffer_printf(out, "      Default: %s.\n", options_fallback(row));
        if (row->type == OPTION_LIST)
            buffer_text(out, "      May be given more than once.\n");
        options_variable(row, text, sizeof(text));
        if (text[0] != '\0')
            buffer_printf(out, "      Environment: %s.\n", text);
    }
}

/* Of items NAME=VALUE the last one of a name counts. */
static bool is_overridden(const struct option_list *list, size_t item)
{
    struct str name, value, other;
    str_cut(str_of(list->items[item]), '=', &name, &value);
    for (size_t i = item + 1; i < list->count; i++) {
        str_cut(str_of(list->items[i]), '=', &other, &value);
        if (str_eq(name, other))
            return true;
    }
    return false;
}

void options_print(const struct options *o, struct buffer *out)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *const row = &o->table[i];
        const struct option_value *const value = &o->values[i];
        const struct option_list *const list = field(o, i);
        if (row->type == OPTION_LIST && list->count > 0) {
            for (size_t k = 0; k < list->count; k++)
                if (!is_merged(row) || !is_overridden(list, k))
                    buffer_printf(out, "%s = %s  (%s)\n", row->name, list->items[k],
                                  value->origins.items[k]);
            continue;
        }
        const char *nothing = row->type == OPTION_FLAG ? "no" : "none";
        if (row->fallback_says != NULL)
            nothing = row->fallback_says;
        buffer_printf(out, "%s = %s  (%s)\n", row->name,
                      value->text != NULL ? value->text : nothing, value->origin);
    }
}

const struct option_value *options_value(const struct options *o, const char *name)
{
    const size_t row = find(o, str_of(name));
    CHECK(row < o->count);
    return &o->values[row];
}

enum weir_code options_wrap(const struct options *o, const char *name, size_t item,
                            struct weir_error *err)
{
    const struct option_value *const value = options_value(o, name);
    const char *const origin =
        item < value->origins.count ? value->origins.items[item] : value->origin;
    if (strcmp(origin, "flag") == 0)
        return weir_wrap(err, "--%s", name);
    return weir_wrap(err, "%s (%s)", origin, name);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool options_same(const struct options *a, const struct options *b, size_t row)
{
    if (a->table[row].type != OPTION_LIST)
        return same_text(a->values[row].text, b->values[row].text);
    const struct option_list *const x = field(a, row), *const y = field(b, row);
    bool same = x->count == y->count;
    for (size_t i = 0; i < x->count && same; i++)
        same = same_text(x->items[i], y->items[i]);
    return same;
}

/* Levenshtein's distance of words that are cut at 31 letters. */
static size_t distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    size_t row[MOST];
    const size_t a_len = strlen(a) < MOST ? strlen(a) : MOST - 1;
    const size_t b_len = strlen(b) < MOST ? strlen(b) : MOST - 1;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            const size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < other ? changed : other;
        }
    }
    return row[b_len];
}

const char *options_nearest(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2; /* further away than this nobody meant it */
    for (size_t i = 0; i < count; i++) {
        const size_t d = distance(word, words[i]);
        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}
