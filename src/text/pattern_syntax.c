#include "text/pattern_syntax.h"

#include "base/check.h"
#include "text/field.h"
#include "text/unicode_table.h"

#include <ctype.h>
#include <string.h>

/* The members of a set, as PCRE2 writes them between brackets. */
#define SPACES                                                                                     \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}"                                           \
    "\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define NO_SPACES                                                                                  \
    "\\x00-\\x08\\x0E-\\x1F!-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}"           \
    "\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}"                 \
    "\\x{3001}-\\x{10FFFF}"
/* Circled and squared letters; the numbers of Latin-1. */
#define WORD_SYMBOLS                                                                               \
    "\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"           \
    "\\xB2\\xB3\\xB9\\xBC-\\xBE"

struct translation {
    struct str in;
    size_t at;
    struct buffer *out;
    const struct field *field;
    struct weir_error *err;
};

static enum weir_code refuse(struct translation *t, size_t at, const char *what)
{
    struct field_path path;
    struct str quote = field_quote((struct str){ t->in.data + at, t->in.len - at });
    return weir_fail(t->err, WEIR_LOAD_FAILED, "%s: %s is not supported, at byte %zu: '%.*s'",
                     field_path(t->field, &path), what, at, STR_ARG(quote));
}

static bool follows(const struct translation *t, const char *text)
{
    return str_starts((struct str){ t->in.data + t->at, t->in.len - t->at }, str_of(text));
}

static char look(const struct translation *t, size_t ahead)
{
    return t->at + ahead < t->in.len ? t->in.data[t->at + ahead] : '\0';
}

static void put_category(struct translation *t, struct str category)
{
    buffer_printf(t->out, "\\p{%.*s}", STR_ARG(category));
    for (size_t i = 0; i < unicode_newer_categories_count; i++) {
        const struct unicode_category_run *run = &unicode_newer_categories[i];
        if (run->category[0] == category.data[0] &&
            (category.len == 1 || run->category[1] == category.data[1]))
            buffer_printf(t->out, "\\x{%X}-\\x{%X}", run->first, run->last);
    }
}

/* What stands for a set in brackets: its members. */
static void put_members(struct translation *t, char escape)
{
    switch (escape) {
    case 's': buffer_text(t->out, SPACES); break;
    case 'h': buffer_text(t->out, "0-9A-Fa-f"); break;
    case 'd': put_category(t, STR("Nd")); break;
    default: /* w */
        put_category(t, STR("L"));
        put_category(t, STR("M"));
        put_category(t, STR("Nd"));
        put_category(t, STR("Nl"));
        put_category(t, STR("Pc"));
        buffer_text(t->out, WORD_SYMBOLS);
    }
}

/* \s and its like: small is the set, capital all but the set. */
static enum weir_code put_set(struct translation *t, bool in_brackets)
{
    char escape = look(t, 1);
    bool is_negated = isupper((unsigned char)escape) != 0;
    if (in_brackets && is_negated && escape != 'S')
        return refuse(t, t->at, "the opposite of a set in brackets");
    if (in_brackets && is_negated) {
        buffer_text(t->out, NO_SPACES);
    } else {
        if (!in_brackets)
            buffer_text(t->out, is_negated ? "[^" : "[");
        put_members(t, (char)tolower((unsigned char)escape));
        if (!in_brackets)
            buffer_text(t->out, "]");
    }
    t->at += 2;
    return WEIR_OK;
}

/* \p{Lu}, \P{Lu}, \p{^Lu}. */
static enum weir_code put_property(struct translation *t, bool in_brackets)
{
    static const char *const known[] = { "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn",
                                         "Mc", "Me", "N",  "Nd", "Nl", "No", "P", "Pc",
                                         "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm",
                                         "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp" };
    size_t start = t->at;
    bool is_negated = look(t, 1) == 'P';
    if (look(t, 2) != '{')
        return refuse(t, start, "a property without braces");
    t->at += 3;
    if (look(t, 0) == '^') {
        is_negated = !is_negated;
        t->at++;
    }
    struct str name, rest, all = { t->in.data + t->at, t->in.len - t->at };
    size_t i = 0;
    if (!str_cut(all, '}', &name, &rest))
        return refuse(t, start, "a property without an end");
    while (i < ARRAY_COUNT(known) && !str_eq(name, str_of(known[i])))
        i++;
    if (i == ARRAY_COUNT(known))
        return refuse(t, start, "this property");
    if (in_brackets && is_negated)
        return refuse(t, start, "the opposite of a property in brackets");
    if (!in_brackets)
        buffer_text(t->out, is_negated ? "[^" : "[");
    put_category(t, name);
    if (!in_brackets)
        buffer_text(t->out, "]");
    t->at += name.len + 1;
    return WEIR_OK;
}

/* \xHH, \x{H…}, \uHHHH: handed on as \x{H…}. */
static enum weir_code put_code_point(struct translation *t)
{
    size_t start = t->at, digits = 0, most = look(t, 1) == 'u' ? 4 : 2;
    bool has_braces = look(t, 1) == 'x' && look(t, 2) == '{';
    t->at += has_braces ? 3 : 2;
    if (has_braces)
        most = 6;
    while (digits < most && isxdigit((unsigned char)look(t, digits)))
        digits++;
    if (digits == 0 || (has_braces && look(t, digits) != '}') || (most == 4 && digits != 4))
        return refuse(t, start, "this way to write a code point");
    buffer_printf(t->out, "\\x{%.*s}", (int)digits, t->in.data + t->at);
    t->at += digits + has_braces;
    return WEIR_OK;
}

static enum weir_code put_escape(struct translation *t, bool in_brackets)
{
    char escape = look(t, 1);
    if (escape == '\0')
        return refuse(t, t->at, "a backslash at the end");
    if (strchr("sSwWdDhH", escape) != NULL)
        return put_set(t, in_brackets);
    if (escape == 'p' || escape == 'P')
        return put_property(t, in_brackets);
    if (escape == 'x' || escape == 'u')
        return put_code_point(t);
    if (escape == 'v') {
        buffer_text(t->out, "\\x0B");
        t->at += 2;
        return WEIR_OK;
    }
    bool is_anchor = !in_brackets && strchr("AzZ", escape) != NULL;
    if (isalnum((unsigned char)escape) && !is_anchor && strchr("tnrfae", escape) == NULL)
        return refuse(t, t->at, "this escape");
    /* A character that is not ASCII stands for itself. */
    if (ispunct((unsigned char)escape) || isalpha((unsigned char)escape))
        buffer_append(t->out, t->in.data + t->at, 2);
    else
        buffer_append(t->out, &escape, 1);
    t->at += 2;
    return WEIR_OK;
}

static enum weir_code put_brackets(struct translation *t)
{
    size_t start = t->at++;
    buffer_text(t->out, "[");
    if (look(t, 0) == '^') {
        buffer_text(t->out, "^");
        t->at++;
    }
    if (look(t, 0) == ']')
        return refuse(t, start, "a bracket at the beginning of brackets");
    while (t->at < t->in.len && look(t, 0) != ']') {
        if (look(t, 0) == '[' || follows(t, "&&"))
            return refuse(t, t->at, "a set within brackets");
        if (look(t, 0) == '\\') {
            if (put_escape(t, true))
                return WEIR_LOAD_FAILED;
        } else {
            buffer_append(t->out, t->in.data + t->at++, 1);
        }
    }
    if (t->at == t->in.len)
        return refuse(t, start, "a set without an end");
    buffer_text(t->out, "]");
    t->at++;
    return WEIR_OK;
}

static enum weir_code put_group(struct translation *t)
{
    static const char *const known[] = { "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:" };
    if (!follows(t, "(?") && !follows(t, "(*")) {
        buffer_text(t->out, "(");
        t->at++;
        return WEIR_OK;
    }
    /* In the middle its reach would differ. */
    if (t->at == 0 && follows(t, "(?i)")) {
        buffer_text(t->out, "(?i)");
        t->at += 4;
        return WEIR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (follows(t, known[i])) {
            buffer_text(t->out, known[i]);
            t->at += strlen(known[i]);
            return WEIR_OK;
        }
    }
    return refuse(t, t->at, "this group");
}

/* {n}, {n,}, {n,m}, the latter two with a ? behind; any other brace stands for itself. */
static enum weir_code put_repeat(struct translation *t)
{
    size_t start = t->at, digits = 0;
    bool has_comma = false;
    t->at++;
    for (; isdigit((unsigned char)look(t, 0)) || (look(t, 0) == ',' && !has_comma); t->at++) {
        digits += look(t, 0) != ',';
        has_comma = has_comma || look(t, 0) == ',';
    }
    if (look(t, 0) != '}' || t->at == start + 1) {
        t->at = start + 1;
        buffer_text(t->out, "\\{");
        return WEIR_OK;
    }
    t->at++;
    if (digits == 0 || t->in.data[start + 1] == ',' || look(t, 0) == '+' ||
        (look(t, 0) == '?' && !has_comma))
        return refuse(t, start, "this way to repeat");
    buffer_append(t->out, t->in.data + start, t->at - start);
    return WEIR_OK;
}

enum weir_code pattern_translate(struct str expression, const struct field *f, struct buffer *out,
                                 struct weir_error *err)
{
    struct translation t = { .in = expression, .out = out, .field = f, .err = err };
    struct field_path path;
    if (memchr(expression.data, '\0', expression.len) != NULL)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is a pattern with a zero byte",
                         field_path(f, &path));
    while (t.at < t.in.len) {
        enum weir_code code = WEIR_OK;
        switch (look(&t, 0)) {
        case '\\': code = put_escape(&t, false); break;
        case '[': code = put_brackets(&t); break;
        case '(': code = put_group(&t); break;
        case '{': code = put_repeat(&t); break;
        default: buffer_append(out, t.in.data + t.at++, 1);
        }
        if (code != WEIR_OK)
            return code;
    }
    if (out->failed)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is a pattern of more than %d bytes",
                         field_path(f, &path), PATTERN_TRANSLATED_BYTES_MAX);
    return WEIR_OK;
}
