#include "text/charsmap.h"

#include "base/base64.h"
#include "base/check.h"
#include "text/field.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

#define LENGTH_BYTES       4
#define UNIT_BYTES         4
#define WHOLE_GRAPHEME_MAX 5 /* bytes */

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t unit_at(const struct charsmap *m, size_t at)
{
    return read_u32(m->bytes.data + LENGTH_BYTES + at * UNIT_BYTES);
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << (unit & 0x200 ? 8 : 0);
}

/* The replacement of the shortest entry that `s` begins with; false when there is none. */
static bool find(const struct charsmap *m, struct str s, struct str *out)
{
    if (m->units == 0)
        return false;
    size_t at = offset_of(unit_at(m, 0));
    for (size_t i = 0; i < s.len && s.data[i] != '\0'; i++) {
        uint8_t byte = (uint8_t)s.data[i];
        at ^= byte;
        if (at >= m->units)
            return false;
        uint32_t unit = unit_at(m, at);
        if ((unit & 0x800000FF) != byte)
            return false;
        at ^= offset_of(unit);
        if (at >= m->units)
            return false;
        if (unit & 0x100) {
            size_t place = unit_at(m, at) & 0x7FFFFFFF;
            if (place >= m->replacements.len)
                return false;
            const char *text = m->replacements.data + place;
            *out = (struct str){ text, strlen(text) };
            return true;
        }
    }
    return false;
}

static enum weir_code check(struct charsmap *m, const struct field *f, struct weir_error *err)
{
    struct field_path path;
    struct str bytes = buffer_view(&m->bytes);
    if (bytes.len < LENGTH_BYTES)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, a map begins with %d",
                         field_path(f, &path), bytes.len, LENGTH_BYTES);
    uint32_t trie = read_u32(m->bytes.data);
    if (trie % UNIT_BYTES != 0 || trie > bytes.len - LENGTH_BYTES)
        return weir_fail(
            err, WEIR_LOAD_FAILED,
            "%s says that its trie has %u bytes, it must be a multiple of %d up to %zu",
            field_path(f, &path), trie, UNIT_BYTES, bytes.len - LENGTH_BYTES);
    m->units = trie / UNIT_BYTES;
    m->replacements =
        (struct str){ bytes.data + LENGTH_BYTES + trie, bytes.len - LENGTH_BYTES - trie };
    size_t valid = str_utf8_valid(m->replacements);
    if (valid != m->replacements.len)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s: its replacements are not UTF-8 at byte %zu",
                         field_path(f, &path), valid);
    /* Each ends in a zero; a place within one is as good as its beginning. */
    if (m->replacements.len > 0 && m->replacements.data[m->replacements.len - 1] != '\0')
        return weir_fail(err, WEIR_LOAD_FAILED, "%s: its last replacement has no end",
                         field_path(f, &path));
    /* A place between the bytes of a code point would make texts that are not UTF-8. */
    for (size_t i = 0; i < m->units; i++) {
        uint32_t unit = unit_at(m, i);
        size_t place = unit & 0x7FFFFFFF;
        if (unit >> 31 && place < m->replacements.len &&
            !utf8_is_start(m->replacements.data[place]))
            return weir_fail(err, WEIR_LOAD_FAILED,
                             "%s: unit %zu leads into a code point, to byte %zu",
                             field_path(f, &path), i, place);
    }
    return WEIR_OK;
}

enum weir_code charsmap_load(struct charsmap *m, const struct field *f, struct weir_error *err)
{
    struct field_path path;
    struct str text;
    if (field_text_here(f, &text, err))
        return WEIR_LOAD_FAILED;
    buffer_init(&m->bytes, CHARSMAP_BYTES_MAX);
    if (base64_bytes_max(text.len) > CHARSMAP_BYTES_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu bytes, the limit is %d",
                         field_path(f, &path), base64_bytes_max(text.len), CHARSMAP_BYTES_MAX);
    if (base64_decode(text, &m->bytes, err) != WEIR_OK) {
        weir_wrap(err, "%s", field_path(f, &path));
        if (err != NULL)
            err->code = WEIR_LOAD_FAILED;
        return WEIR_LOAD_FAILED;
    }
    enum weir_code code = check(m, f, err);
    for (size_t c = 0; code == WEIR_OK && c < ARRAY_COUNT(m->ascii); c++) {
        char byte = (char)c;
        m->ascii_stays[c] = !find(m, (struct str){ &byte, 1 }, &m->ascii[c]);
    }
    return code;
}

void charsmap_finish(struct charsmap *m)
{
    buffer_finish(&m->bytes);
    *m = (struct charsmap){ 0 };
}

static bool is_ascii(char byte)
{
    return (uint8_t)byte < 0x80;
}

/* Where the grapheme that begins at `at` ends. */
static size_t grapheme_end(struct str text, size_t at)
{
    int32_t state = 0;
    uint32_t before = utf8_next(text, &at);
    while (at < text.len) {
        size_t behind = at;
        uint32_t c = utf8_next(text, &behind);
        if (unicode_grapheme_breaks(before, c, &state))
            break;
        before = c;
        at = behind;
    }
    return at;
}

/* ASCII that no grapheme joins: all but what may be extended by what is not ASCII, and line ends,
 * of which two can be one. */
static size_t apply_ascii(const struct charsmap *m, struct str text, size_t at, struct buffer *out)
{
    while (at < text.len && is_ascii(text.data[at]) && text.data[at] != '\r' &&
           (at + 1 == text.len || is_ascii(text.data[at + 1]))) {
        size_t end = at;
        while (end < text.len && is_ascii(text.data[end]) && text.data[end] != '\r' &&
               m->ascii_stays[(uint8_t)text.data[end]] &&
               (end + 1 == text.len || is_ascii(text.data[end + 1])))
            end++;
        buffer_append(out, text.data + at, end - at);
        if (end == at)
            buffer_str(out, m->ascii[(uint8_t)text.data[end++]]);
        at = end;
    }
    return at;
}

void charsmap_apply(const struct charsmap *m, struct str text, struct buffer *out)
{
    size_t at = 0;
    while (at < text.len && !out->failed) {
        at = apply_ascii(m, text, at, out);
        if (at == text.len)
            break;
        struct str to, grapheme = { text.data + at, grapheme_end(text, at) - at };
        at += grapheme.len;
        if (grapheme.len <= WHOLE_GRAPHEME_MAX && find(m, grapheme, &to)) {
            buffer_str(out, to);
            continue;
        }
        for (size_t start = 0; start < grapheme.len;) {
            size_t end = start;
            utf8_next(grapheme, &end);
            struct str c = { grapheme.data + start, end - start };
            buffer_str(out, find(m, c, &to) ? to : c);
            start = end;
        }
    }
}
