#include "text/decoder.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/byte_level.h"
#include "text/utf8.h"

#include <string.h>

#define REPLACEMENT_CHARACTER "\xEF\xBF\xBD"
#define STRIP_MAX             4096

void decoder_pieces_init(struct decoder_pieces *p, size_t bytes_max)
{
    buffer_init(&p->texts, bytes_max);
    buffer_init(&p->ends, SIZE_MAX / 2);
}

void decoder_pieces_finish(struct decoder_pieces *p)
{
    buffer_finish(&p->texts);
    buffer_finish(&p->ends);
}

/* What was appended to the texts since the last one is a piece. */
static void end_piece(struct decoder_pieces *p)
{
    uint64_t end = p->texts.len;
    buffer_append(&p->ends, &end, sizeof(end));
}

void decoder_pieces_add(struct decoder_pieces *p, struct str piece)
{
    buffer_str(&p->texts, piece);
    end_piece(p);
}

static size_t count_of(const struct decoder_pieces *p)
{
    return p->ends.len / sizeof(uint64_t);
}

static size_t end_of(const struct decoder_pieces *p, size_t i)
{
    uint64_t end;
    memcpy(&end, p->ends.data + i * sizeof(end), sizeof(end));
    return (size_t)end;
}

static struct str piece_at(const struct decoder_pieces *p, size_t i)
{
    size_t start = i == 0 ? 0 : end_of(p, i - 1);
    /* Nothing but empty pieces may have left the room unmade. */
    const char *texts = p->texts.data != NULL ? (const char *)p->texts.data : "";
    return (struct str){ texts + start, end_of(p, i) - start };
}

static struct str all_of(const struct decoder_pieces *p)
{
    return buffer_view(&p->texts);
}

/* What `cleanup` replaces within what one piece adds, each over the result of the one before.
 * Nothing gets longer. */
static const struct {
    struct str from, to;
} cleanups[] = {
    {{ " .", 2 },       { ".", 1 }     },
    { { " ?", 2 },      { "?", 1 }     },
    { { " !", 2 },      { "!", 1 }     },
    { { " ,", 2 },      { ",", 1 }     },
    { { " ' ", 3 },     { "'", 1 }     },
    { { " n't", 4 },    { "n't", 3 }   },
    { { " 'm", 3 },     { "'m", 2 }    },
    { { " do not", 7 }, { " don't", 6 }},
    { { " 's", 3 },     { "'s", 2 }    },
    { { " 've", 4 },    { "'ve", 3 }   },
    { { " 're", 4 },    { "'re", 3 }   },
};

/* Replaces in place and returns the new length. */
static size_t replace(char *text, size_t len, struct str from, struct str to)
{
    size_t wrote = 0;
    for (size_t at = 0; at < len;) {
        if (len - at >= from.len && memcmp(text + at, from.data, from.len) == 0) {
            memcpy(text + wrote, to.data, to.len);
            wrote += to.len;
            at += from.len;
        } else {
            text[wrote++] = text[at++];
        }
    }
    return wrote;
}

static void wordpiece_run(const struct decoder_step *d, const struct decoder_pieces *in,
                          struct decoder_pieces *out)
{
    struct str prefix = str_of(d->text);
    for (size_t n = 0; n < count_of(in); n++) {
        struct str piece = piece_at(in, n);
        size_t start = out->texts.len;
        if (n > 0 && str_starts(piece, prefix))
            piece = (struct str){ piece.data + prefix.len, piece.len - prefix.len };
        else if (n > 0)
            buffer_text(&out->texts, " ");
        buffer_str(&out->texts, piece);
        for (size_t i = 0; d->cleanup && out->texts.len > start && i < ARRAY_COUNT(cleanups); i++)
            out->texts.len =
                start + replace((char *)out->texts.data + start, out->texts.len - start,
                                cleanups[i].from, cleanups[i].to);
        end_piece(out);
    }
}

static enum weir_code load_text(struct decoder_step *d, const struct field *f, const char *name,
                                struct weir_error *err)
{
    struct str text;
    if (field_text(f, name, &text, err))
        return WEIR_LOAD_FAILED;
    d->text = mem_copy_text(text.data, text.len);
    return WEIR_OK;
}

static enum weir_code wordpiece_load(struct decoder_step *d, const struct field *f,
                                     struct weir_error *err)
{
    static const char *const names[] = { "type", "prefix", "cleanup", NULL };
    if (field_only(f, names, err) || load_text(d, f, "prefix", err) ||
        field_bool(f, "cleanup", &d->cleanup, err))
        return WEIR_LOAD_FAILED;
    return WEIR_OK;
}

/* Bytes that are no UTF-8 become replacement characters, one for each longest beginning of a code
 * point, as everybody does it (Unicode 15, chapter 3.9). */
static void append_lossy(struct buffer *out, struct str bytes)
{
    while (bytes.len > 0) {
        size_t valid = str_utf8_valid(bytes), bad = valid;
        buffer_append(out, bytes.data, valid);
        if (valid == bytes.len)
            return;
        /* With what a code point may begin with, whatever follows it makes it longer or not. */
        uint8_t first = (uint8_t)bytes.data[bad++];
        size_t more = first >= 0xF0 && first <= 0xF4 ? 3 : first >= 0xE0 && first <= 0xEF ? 2 : 0;
        uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        for (size_t i = 0; i < more && bad < bytes.len; i++, bad++) {
            uint8_t byte = (uint8_t)bytes.data[bad];
            if (byte < low || byte > high)
                break;
            low = 0x80;
            high = 0xBF;
        }
        buffer_text(out, REPLACEMENT_CHARACTER);
        bytes = (struct str){ bytes.data + bad, bytes.len - bad };
    }
}

static void byte_level_run(const struct decoder_step *d, const struct decoder_pieces *in,
                           struct decoder_pieces *out)
{
    (void)d;
    struct buffer bytes;
    buffer_init(&bytes, in->texts.len);
    for (size_t n = 0; n < count_of(in); n++) {
        if (!byte_level_read(piece_at(in, n), &bytes))
            buffer_str(&bytes, piece_at(in, n));
    }
    append_lossy(&out->texts, buffer_view(&bytes));
    out->texts.failed = out->texts.failed || bytes.failed;
    end_piece(out);
    buffer_finish(&bytes);
}

static enum weir_code byte_level_load(struct decoder_step *d, const struct field *f,
                                      struct weir_error *err)
{
    (void)d;
    static const char *const names[] = { "type", "add_prefix_space", "trim_offsets", "use_regex",
                                         NULL };
    return field_only(f, names, err);
}

static void metaspace_run(const struct decoder_step *d, const struct decoder_pieces *in,
                          struct decoder_pieces *out)
{
    struct str mark = str_of(d->text);
    for (size_t n = 0; n < count_of(in); n++) {
        struct str rest = piece_at(in, n);
        while (rest.len > 0) {
            if (!str_starts(rest, mark)) {
                buffer_append(&out->texts, rest.data, 1);
                rest = (struct str){ rest.data + 1, rest.len - 1 };
                continue;
            }
            if (n > 0 || !d->prefixes)
                buffer_text(&out->texts, " ");
            rest = (struct str){ rest.data + mark.len, rest.len - mark.len };
        }
        end_piece(out);
    }
}

static enum weir_code metaspace_load(struct decoder_step *d, const struct field *f,
                                     struct weir_error *err)
{
    static const char *const names[] = { "type",    "replacement", "add_prefix_space",
                                         "str_rep", "split",       "prepend_scheme",
                                         NULL };
    struct field scheme = field_of(f, "prepend_scheme"), prefix = field_of(f, "add_prefix_space");
    struct field mark = field_of(f, "replacement");
    struct field_path path;
    struct str text = STR("always");
    d->prefixes = true;
    if (field_only(f, names, err) || load_text(d, f, "replacement", err) ||
        (scheme.value != NULL && field_text_here(&scheme, &text, err)) ||
        (prefix.value != NULL && field_bool(f, "add_prefix_space", &d->prefixes, err)))
        return WEIR_LOAD_FAILED;
    if (utf8_count(str_of(d->text)) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu characters, it must have one",
                         field_path(&mark, &path), utf8_count(str_of(d->text)));
    d->prefixes = d->prefixes && !str_eq(text, STR("never"));
    return WEIR_OK;
}

/* Copies `piece` with `to` for each `from`, which is not empty. */
static void append_replaced(struct buffer *out, struct str piece, struct str from, struct str to)
{
    size_t at = 0;
    while (at < piece.len) {
        struct str rest = { piece.data + at, piece.len - at };
        bool found = str_starts(rest, from);
        buffer_append(out, found ? to.data : rest.data, found ? to.len : 1);
        at += found ? from.len : 1;
    }
}

static void bpe_run(const struct decoder_step *d, const struct decoder_pieces *in,
                    struct decoder_pieces *out)
{
    for (size_t n = 0; n < count_of(in); n++) {
        append_replaced(&out->texts, piece_at(in, n), str_of(d->text),
                        n + 1 < count_of(in) ? STR(" ") : STR(""));
        end_piece(out);
    }
}

static enum weir_code bpe_load(struct decoder_step *d, const struct field *f,
                               struct weir_error *err)
{
    static const char *const names[] = { "type", "suffix", NULL };
    if (field_only(f, names, err) || load_text(d, f, "suffix", err))
        return WEIR_LOAD_FAILED;
    if (d->text[0] != '\0')
        return WEIR_OK;
    struct field suffix = field_of(f, "suffix");
    struct field_path path;
    return weir_fail(err, WEIR_LOAD_FAILED, "%s is empty", field_path(&suffix, &path));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that a piece like <0xE4> names, or -1. The reference reads a sign too. */
static int named_byte(struct str piece)
{
    if (piece.len != 6 || !str_starts(piece, STR("<0x")) || piece.data[5] != '>')
        return -1;
    int high = piece.data[3] == '+' ? 0 : hex_digit(piece.data[3]), low = hex_digit(piece.data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* A run of named bytes is text if it is UTF-8, else a replacement character for each. */
static void append_bytes(struct decoder_pieces *out, struct buffer *bytes)
{
    struct str run = buffer_view(bytes);
    if (run.len == 0)
        return;
    if (str_utf8_valid(run) == run.len) {
        decoder_pieces_add(out, run);
    } else {
        for (size_t i = 0; i < run.len; i++)
            decoder_pieces_add(out, STR(REPLACEMENT_CHARACTER));
    }
    buffer_clear(bytes);
}

static void byte_fallback_run(const struct decoder_step *d, const struct decoder_pieces *in,
                              struct decoder_pieces *out)
{
    (void)d;
    struct buffer bytes;
    buffer_init(&bytes, in->texts.len);
    for (size_t n = 0; n < count_of(in); n++) {
        int byte = named_byte(piece_at(in, n));
        if (byte >= 0) {
            buffer_u8(&bytes, (uint8_t)byte);
            continue;
        }
        append_bytes(out, &bytes);
        decoder_pieces_add(out, piece_at(in, n));
    }
    append_bytes(out, &bytes);
    out->texts.failed = out->texts.failed || bytes.failed;
    buffer_finish(&bytes);
}

static void fuse_run(const struct decoder_step *d, const struct decoder_pieces *in,
                     struct decoder_pieces *out)
{
    (void)d;
    decoder_pieces_add(out, all_of(in));
}

static void strip_run(const struct decoder_step *d, const struct decoder_pieces *in,
                      struct decoder_pieces *out)
{
    struct str what = str_of(d->text);
    for (size_t n = 0; n < count_of(in); n++) {
        struct str piece = piece_at(in, n);
        for (size_t i = 0; i < d->start && str_starts(piece, what); i++)
            piece = (struct str){ piece.data + what.len, piece.len - what.len };
        for (size_t i = 0; i < d->stop && str_ends(piece, what); i++)
            piece.len -= what.len;
        decoder_pieces_add(out, piece);
    }
}

static enum weir_code strip_load(struct decoder_step *d, const struct field *f,
                                 struct weir_error *err)
{
    static const char *const names[] = { "type", "content", "start", "stop", NULL };
    struct field content = field_of(f, "content"), start = field_of(f, "start"),
                 stop = field_of(f, "stop");
    struct field_path path;
    int64_t first, last;
    if (field_only(f, names, err) || load_text(d, f, "content", err) ||
        field_integer(&start, 0, STRIP_MAX, &first, err) ||
        field_integer(&stop, 0, STRIP_MAX, &last, err))
        return WEIR_LOAD_FAILED;
    if (utf8_count(str_of(d->text)) != 1)
        return weir_fail(err, WEIR_LOAD_FAILED, "%s has %zu characters, it must have one",
                         field_path(&content, &path), utf8_count(str_of(d->text)));
    d->start = (size_t)first;
    d->stop = (size_t)last;
    return WEIR_OK;
}

static void replace_run(const struct decoder_step *d, const struct decoder_pieces *in,
                        struct decoder_pieces *out)
{
    struct pattern_work work = { 0 };
    for (size_t n = 0; n < count_of(in); n++) {
        struct str piece = piece_at(in, n);
        struct pattern_scan scan = pattern_scan(&d->pattern, &work, piece);
        size_t copied = 0, start, end;
        while (pattern_next(&scan, &start, &end)) {
            buffer_append(&out->texts, piece.data + copied, start - copied);
            buffer_text(&out->texts, d->text);
            copied = end;
        }
        buffer_append(&out->texts, piece.data + copied, piece.len - copied);
        end_piece(out);
    }
    out->texts.failed = out->texts.failed || work.gave_up || work.no_memory;
    pattern_work_finish(&work);
}

static enum weir_code replace_load(struct decoder_step *d, const struct field *f,
                                   struct weir_error *err)
{
    static const char *const names[] = { "type", "pattern", "content", NULL };
    struct field pattern = field_of(f, "pattern");
    if (field_only(f, names, err) || load_text(d, f, "content", err))
        return WEIR_LOAD_FAILED;
    return pattern_load(&d->pattern, &pattern, err);
}

static const struct decoder_kind kinds[] = {
    {"WordPiece",     wordpiece_load,  wordpiece_run    },
    { "ByteLevel",    byte_level_load, byte_level_run   },
    { "Metaspace",    metaspace_load,  metaspace_run    },
    { "BPEDecoder",   bpe_load,        bpe_run          },
    { "ByteFallback", NULL,            byte_fallback_run},
    { "Fuse",         NULL,            fuse_run         },
    { "Strip",        strip_load,      strip_run        },
    { "Replace",      replace_load,    replace_run      },
};

static enum weir_code load_step(void *context, const struct component *part, struct weir_error *err)
{
    static const char *const names[] = { "type", NULL };
    struct decoder *d = context;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (!str_eq(part->type, str_of(kinds[i].name)))
            continue;
        struct decoder_step *step = &d->steps[d->count++];
        step->kind = &kinds[i];
        return kinds[i].load != NULL ? kinds[i].load(step, &part->item, err)
                                     : field_only(&part->item, names, err);
    }
    return field_unknown_type(part, err);
}

enum weir_code decoder_load(struct decoder *d, const struct field *f, struct weir_error *err)
{
    d->joins_by_space = f->value == NULL || json_is_null(f->value);
    d->steps = mem_new(FIELD_COMPONENTS_MAX, sizeof(*d->steps));
    return field_components(f, "decoders", load_step, d, err);
}

void decoder_finish(struct decoder *d)
{
    for (size_t i = 0; i < d->count; i++) {
        mem_free(d->steps[i].text);
        pattern_finish(&d->steps[i].pattern);
    }
    mem_free(d->steps);
    *d = (struct decoder){ 0 };
}

void decoder_run(const struct decoder *d, struct decoder_pieces *pieces, struct buffer *out)
{
    struct decoder_pieces other, *in = pieces, *next = &other, *swap;
    decoder_pieces_init(&other, pieces->texts.max);
    for (size_t i = 0; i < d->count; i++) {
        buffer_clear(&next->texts);
        buffer_clear(&next->ends);
        d->steps[i].kind->run(&d->steps[i], in, next);
        if (next->texts.failed || next->ends.failed)
            out->failed = true;
        swap = in;
        in = next;
        next = swap;
    }
    for (size_t n = 0; !out->failed && n < count_of(in); n++) {
        if (n > 0 && d->joins_by_space)
            buffer_text(out, " ");
        buffer_str(out, piece_at(in, n));
    }
    decoder_pieces_finish(&other);
}
