#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include "base/buffer.h"
#include "base/mem.h"
#include "text/field.h"
#include "text/pattern_syntax.h"

#include <pcre2.h>
#include <string.h>

#define HEAP_LIMIT_KIB 65536
#define WHY_BYTES      120

static void *take_memory(size_t bytes, void *unused)
{
    (void)unused;
    return mem_try(1, bytes);
}

static void give_memory(void *memory, void *unused)
{
    (void)unused;
    mem_free(memory);
}

static enum weir_code compile(struct pattern *p, const struct field *f, struct str translated,
                              struct weir_error *err)
{
    struct field_path path;
    pcre2_general_context *memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    int why = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE where = 0;
    if (context != NULL) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        p->code = pcre2_compile((PCRE2_SPTR)translated.data, translated.len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                &why, &where, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (p->code == NULL) {
        PCRE2_UCHAR text[WHY_BYTES];
        pcre2_get_error_message(why, text, sizeof(text));
        return weir_fail(err, WEIR_LOAD_FAILED, "%s is a pattern that cannot be compiled: %s",
                         field_path(f, &path), (const char *)text);
    }
    /* Where there is no compiler to machine code, the interpreter gives the same matches. */
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    return WEIR_OK;
}

enum weir_code pattern_compile(struct pattern *p, const struct field *f, struct str expression,
                               struct weir_error *err)
{
    struct field_path path;
    if (expression.len == 0 || expression.len > PATTERN_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, it must have from 1 to %d",
                         field_path(f, &path), expression.len, PATTERN_BYTES_MAX);
    struct buffer translated;
    buffer_init(&translated, PATTERN_TRANSLATED_BYTES_MAX);
    enum weir_code code = pattern_translate(expression, f, &translated, err);
    if (code == WEIR_OK)
        code = compile(p, f, buffer_view(&translated), err);
    buffer_finish(&translated);
    return code;
}

enum weir_code pattern_load(struct pattern *p, const struct field *f, struct weir_error *err)
{
    static const char *const names[] = { "String", "Regex", NULL };
    struct field_path path;
    struct str text;
    if (field_need_object(f, err) || field_only(f, names, err))
        return WEIR_LOAD_FAILED;
    if (json_object_size(f->value) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED,
                         "%s has %zu fields, it must have one: String or Regex",
                         field_path(f, &path), json_object_size(f->value));
    struct field string = field_of(f, "String"), regex = field_of(f, "Regex");
    if (string.value == NULL)
        return field_text_here(&regex, &text, err) ? WEIR_LOAD_FAILED
                                                   : pattern_compile(p, &regex, text, err);
    if (field_text_here(&string, &text, err))
        return WEIR_LOAD_FAILED;
    if (text.len == 0 || text.len > PATTERN_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, it must have from 1 to %d",
                         field_path(&string, &path), text.len, PATTERN_BYTES_MAX);
    p->literal = mem_copy_text(text.data, text.len);
    p->literal_len = text.len;
    return WEIR_OK;
}

void pattern_finish(struct pattern *p)
{
    mem_free(p->literal);
    pcre2_code_free(p->code);
    *p = (struct pattern){ 0 };
}

void pattern_work_finish(struct pattern_work *w)
{
    pcre2_match_data_free(w->data);
    pcre2_match_context_free(w->limits);
    *w = (struct pattern_work){ 0 };
}

struct pattern_scan pattern_scan(const struct pattern *p, struct pattern_work *w, struct str text)
{
    return (struct pattern_scan){ .pattern = p, .work = w, .text = text, .last_end = SIZE_MAX };
}

static bool next_literal(struct pattern_scan *s, size_t *out_start, size_t *out_end)
{
    const struct pattern *p = s->pattern;
    while (s->text.len - s->at >= p->literal_len) {
        const char *first =
            memchr(s->text.data + s->at, p->literal[0], s->text.len - s->at - p->literal_len + 1);
        if (first == NULL)
            break;
        s->at = (size_t)(first - s->text.data) + 1;
        if (memcmp(first, p->literal, p->literal_len) == 0) {
            *out_start = s->at - 1;
            *out_end = *out_start + p->literal_len;
            s->at = *out_end;
            return true;
        }
    }
    s->at = s->text.len;
    return false;
}

/* The interpreter, with limits: for a pattern that the machine code has no stack for. */
static int match_slowly(struct pattern_scan *s)
{
    return pcre2_match(s->pattern->code, (PCRE2_SPTR)s->text.data, s->text.len, s->at,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->work->data, s->work->limits);
}

/* A run of white space is walked back once where an expression looks for its last line end, so the
 * steps that a match may take grow with the text. */
static bool prepare(struct pattern_work *w, const struct pattern_scan *s)
{
    if (w->data == NULL)
        w->data = pcre2_match_data_create_from_pattern(s->pattern->code, NULL);
    if (w->limits == NULL)
        w->limits = pcre2_match_context_create(NULL);
    if (w->data == NULL || w->limits == NULL)
        return false;
    size_t most = (UINT32_MAX - PATTERN_MATCH_LIMIT) / PATTERN_MATCH_STEPS;
    size_t bytes = s->text.len < most ? s->text.len : most;
    pcre2_set_match_limit(w->limits, (uint32_t)(PATTERN_MATCH_LIMIT + bytes * PATTERN_MATCH_STEPS));
    pcre2_set_heap_limit(w->limits, HEAP_LIMIT_KIB);
    return true;
}

static bool next_expression(struct pattern_scan *s, size_t *out_start, size_t *out_end)
{
    struct pattern_work *w = s->work;
    if (!prepare(w, s)) {
        w->no_memory = true;
        return false;
    }
    while (s->at <= s->text.len && !w->gave_up) {
        int found = pcre2_jit_match(s->pattern->code, (PCRE2_SPTR)s->text.data, s->text.len, s->at,
                                    PCRE2_NO_UTF_CHECK, w->data, w->limits);
        if (found == PCRE2_ERROR_JIT_STACKLIMIT || found == PCRE2_ERROR_JIT_BADOPTION)
            found = match_slowly(s);
        if (found == PCRE2_ERROR_NOMATCH)
            break;
        w->gave_up = found < 0;
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(w->data);
        if (w->gave_up)
            break;
        bool is_empty = ends[0] == ends[1], counts = !is_empty || ends[1] != s->last_end;
        s->at = s->last_end = ends[1];
        /* Behind an empty match one code point is passed by. */
        while (is_empty && ++s->at < s->text.len && ((uint8_t)s->text.data[s->at] & 0xC0) == 0x80) {
        }
        if (counts) {
            *out_start = ends[0];
            *out_end = ends[1];
            return true;
        }
    }
    s->at = s->text.len + 1;
    return false;
}

bool pattern_next(struct pattern_scan *s, size_t *out_start, size_t *out_end)
{
    if (s->pattern->literal != NULL)
        return next_literal(s, out_start, out_end);
    return s->at <= s->text.len && next_expression(s, out_start, out_end);
}
