#include "text/lists.h"

#include "text/json_scan.h"

/* The value that comes next, if it is a list with an end: an object or an array. */
static struct str list_here(struct json_scan *s)
{
    char open = json_scan_peek(s);
    size_t start = s->at;
    if (!json_scan_skip(s) || (open != '{' && open != '['))
        return (struct str){ NULL, 0 };
    return (struct str){ s->text.data + start, s->at - start };
}

static void find_in_model(struct json_scan *s, struct lists *out)
{
    struct str name;
    bool first = true;
    json_scan_take(s, '{');
    while (json_scan_more(s, '}', &first) && json_scan_string(s, &name)) {
        bool is_vocab = str_eq(name, STR("vocab")), is_merges = str_eq(name, STR("merges"));
        if (!json_scan_need(s, ':'))
            return;
        struct str list = list_here(s);
        if (is_vocab && out->vocab.data == NULL)
            out->vocab = list;
        if (is_merges && out->merges.data == NULL)
            out->merges = list;
    }
}

static void find(struct str json, struct lists *out)
{
    struct json_scan s;
    struct str name;
    bool first = true;
    json_scan_init(&s, json);
    json_scan_need(&s, '{');
    while (json_scan_more(&s, '}', &first) && json_scan_string(&s, &name)) {
        bool is_model = str_eq(name, STR("model"));
        if (!json_scan_need(&s, ':'))
            break;
        if (is_model && json_scan_peek(&s) == '{')
            find_in_model(&s, out);
        else
            json_scan_skip(&s);
    }
    json_scan_finish(&s);
}

/* The lists in the order of the file; the first may be empty. */
static void in_order(const struct lists *l, struct str out[2])
{
    bool swap = l->vocab.data != NULL && l->merges.data != NULL && l->merges.data < l->vocab.data;
    out[0] = swap ? l->merges : l->vocab;
    out[1] = swap ? l->vocab : l->merges;
}

void lists_cut(struct str json, struct lists *out, struct buffer *rest)
{
    struct str cuts[2];
    const char *from = json.data;
    *out = (struct lists){ 0 };
    find(json, out);
    in_order(out, cuts);
    for (size_t i = 0; i < 2; i++) {
        if (cuts[i].data == NULL)
            continue;
        buffer_append(rest, from, (size_t)(cuts[i].data - from));
        buffer_text(rest, cuts[i].data[0] == '{' ? "{}" : "[]");
        from = cuts[i].data + cuts[i].len;
    }
    buffer_append(rest, from, json.len - (size_t)(from - json.data));
}

size_t lists_offset(const struct lists *l, struct str json, size_t offset)
{
    struct str cuts[2];
    in_order(l, cuts);
    for (size_t i = 0; i < 2; i++) {
        if (cuts[i].data != NULL && offset > (size_t)(cuts[i].data - json.data))
            offset += cuts[i].len - 2;
    }
    return offset;
}
