#include "server/metrics_text.h"

#include "base/json_number.h"

#include <stdbool.h>
#include <string.h>

#define LABELS_BYTES_MAX (64 * 1024) /* of one sample */

/* Backslash and newline, and the quote where the text stands between quotes. */
static void write_escaped(struct buffer *out, struct str text, bool is_quoted)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        char b = text.data[i];
        if (b != '\\' && b != '\n' && !(b == '"' && is_quoted))
            continue;
        buffer_append(out, text.data + from, i - from);
        buffer_text(out, b == '\n' ? "\\n" : b == '"' ? "\\\"" : "\\\\");
        from = i + 1;
    }
    buffer_append(out, text.data + from, text.len - from);
}

static void write_number(struct buffer *out, double value)
{
    char text[JSON_NUMBER_ROOM];
    buffer_append(out, text, json_number_double(text, value));
}

/* `le`, which is written as it is, comes last; NULL: there is none. */
static void begin_sample(struct buffer *out, const char *name, const char *suffix,
                         const struct metrics_label *labels, size_t count, const char *le)
{
    const char *separator = "{";
    buffer_text(out, name);
    buffer_text(out, suffix);
    for (size_t i = 0; i < count; i++) {
        buffer_text(out, separator);
        buffer_text(out, labels[i].name);
        buffer_text(out, "=\"");
        write_escaped(out, labels[i].value, true);
        buffer_text(out, "\"");
        separator = ",";
    }
    if (le) {
        buffer_text(out, separator);
        buffer_text(out, "le=\"");
        buffer_text(out, le);
        buffer_text(out, "\"");
    }
    buffer_text(out, count > 0 || le ? "} " : " ");
}

static void end_sample(struct buffer *out, double value)
{
    write_number(out, value);
    buffer_text(out, "\n");
}

void metrics_text_family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_text(out, "# HELP ");
    buffer_text(out, name);
    buffer_text(out, " ");
    write_escaped(out, str_of(help), false);
    buffer_text(out, "\n# TYPE ");
    buffer_text(out, name);
    buffer_text(out, " ");
    buffer_text(out, type);
    buffer_text(out, "\n");
}

void metrics_text_sample(struct buffer *out, const char *name, const struct metrics_label *labels,
                         size_t count, double value)
{
    begin_sample(out, name, "", labels, count, NULL);
    end_sample(out, value);
}

void metrics_text_histogram(struct buffer *out, const char *name, const struct metrics_label *label,
                            const struct histogram *h)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        below += h->buckets[i];
        const char *le = i < HISTOGRAM_BOUNDS ? histogram_bounds_s[i] : "+Inf";
        begin_sample(out, name, "_bucket", label, 1, le);
        end_sample(out, (double)below);
    }
    begin_sample(out, name, "_sum", label, 1, NULL);
    end_sample(out, (double)h->sum_ms / 1000);
    begin_sample(out, name, "_count", label, 1, NULL);
    end_sample(out, (double)h->count);
}

/* --- the pool's answer ------------------------------------------------------------------------
 *
 * A thousand models in use are megabytes, which must not hold the loop: the answer is walked once,
 * as the pool's writer writes it, without white space and its members in their order. Numbers are
 * copied as they are, and so are texts but for the few bytes that the two formats escape
 * differently. */

struct scan {
    const char *at, *end;
    bool failed;
};

static bool takes(struct scan *s, const char *literal)
{
    size_t len = strlen(literal);
    if (s->failed || (size_t)(s->end - s->at) < len || memcmp(s->at, literal, len) != 0)
        return false;
    s->at += len;
    return true;
}

static void expect(struct scan *s, const char *literal)
{
    if (!takes(s, literal))
        s->failed = true;
}

static struct str take_number(struct scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at != '\0' && strchr("0123456789+-.eE", *s->at) != NULL)
        s->at++;
    if (s->at == from)
        s->failed = true;
    return (struct str){ from, (size_t)(s->at - from) };
}

/* A name of a family, label or type: up to its closing quote, without anything to escape. */
static struct str take_name(struct scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at != '"' && *s->at != '\\')
        s->at++;
    struct str name = { from, (size_t)(s->at - from) };
    expect(s, "\"");
    return name;
}

/* Up to its closing quote. Both formats write \\ and \n alike, and \" between quotes; other escapes
 * are shown as they are written. */
static void copy_text(struct scan *s, struct buffer *out, bool is_quoted)
{
    const char *from = s->at;
    while (s->at < s->end && *s->at != '"') {
        if (*s->at == '\\' && s->at + 1 < s->end) {
            char escaped = s->at[1];
            if (escaped != '\\' && escaped != 'n' && (escaped != '"' || !is_quoted)) {
                buffer_append(out, from, (size_t)(s->at - from));
                buffer_text(out, escaped == '"' ? "" : "\\\\");
                from = s->at + 1;
            }
            s->at++;
        }
        s->at++;
    }
    buffer_append(out, from, (size_t)(s->at - from));
    expect(s, "\"");
}

/* {"a":"x","b":"y"} as a="x",b="y" */
static void take_labels(struct scan *s, struct buffer *labels)
{
    buffer_clear(labels);
    expect(s, "{");
    while (takes(s, "\"")) {
        buffer_str(labels, take_name(s));
        buffer_text(labels, "=\"");
        expect(s, ":\"");
        copy_text(s, labels, true);
        buffer_text(labels, "\"");
        if (!takes(s, ","))
            break;
        buffer_text(labels, ",");
    }
    expect(s, "}");
}

static void write_line(struct buffer *out, struct str name, const char *suffix, struct str labels,
                       struct str value)
{
    buffer_str(out, name);
    buffer_text(out, suffix);
    if (labels.len > 0) {
        buffer_text(out, "{");
        buffer_str(out, labels);
        buffer_text(out, "}");
    }
    buffer_text(out, " ");
    buffer_str(out, value);
    buffer_text(out, "\n");
}

/* [[bound,count],…,[null,count]] */
static void copy_buckets(struct scan *s, struct buffer *out, struct str name, struct str labels)
{
    bool is_last = false;
    expect(s, "[");
    while (!is_last && !s->failed) {
        expect(s, "[");
        is_last = takes(s, "null");
        struct str bound = is_last ? STR("+Inf") : take_number(s);
        expect(s, ",");
        buffer_str(out, name);
        buffer_text(out, "_bucket{");
        buffer_str(out, labels);
        buffer_text(out, labels.len > 0 ? ",le=\"" : "le=\"");
        buffer_str(out, bound);
        buffer_text(out, "\"} ");
        buffer_str(out, take_number(s));
        buffer_text(out, "\n");
        expect(s, is_last ? "]" : "],");
    }
    expect(s, "]");
}

static void copy_sample(struct scan *s, struct buffer *out, struct str name, struct buffer *labels)
{
    expect(s, "{\"labels\":");
    take_labels(s, labels);
    if (takes(s, ",\"value\":")) {
        write_line(out, name, "", buffer_view(labels), take_number(s));
    } else {
        expect(s, ",\"buckets\":");
        copy_buckets(s, out, name, buffer_view(labels));
        expect(s, ",\"sum\":");
        write_line(out, name, "_sum", buffer_view(labels), take_number(s));
        expect(s, ",\"count\":");
        write_line(out, name, "_count", buffer_view(labels), take_number(s));
    }
    expect(s, "}");
}

static void copy_family(struct scan *s, struct buffer *out, struct buffer *labels)
{
    expect(s, "{\"name\":\"");
    struct str name = take_name(s);
    expect(s, ",\"type\":\"");
    struct str type = take_name(s);
    expect(s, ",\"help\":\"");
    buffer_printf(out, "# HELP %.*s ", STR_ARG(name));
    copy_text(s, out, false);
    buffer_printf(out, "\n# TYPE %.*s %.*s\n", STR_ARG(name), STR_ARG(type));
    expect(s, ",\"samples\":[");
    while (!s->failed && !takes(s, "]}")) {
        copy_sample(s, out, name, labels);
        takes(s, ",");
    }
}

enum weir_code metrics_text_pool(struct buffer *out, struct str answer, struct weir_error *err)
{
    struct scan s = { .at = answer.data, .end = answer.data + answer.len };
    struct buffer labels;
    buffer_init(&labels, LABELS_BYTES_MAX);
    expect(&s, "{\"metrics\":[");
    while (!s.failed && !takes(&s, "]}")) {
        copy_family(&s, out, &labels);
        takes(&s, ",");
    }
    if (labels.failed || s.at != s.end)
        s.failed = true;
    buffer_finish(&labels);
    if (s.failed)
        return weir_fail(err, WEIR_INTERNAL, "the pool's metrics cannot be read: byte %zu of %zu",
                         (size_t)(s.at - answer.data), answer.len);
    return WEIR_OK;
}
