#include "text/decoder.h"

#include "base/check.h"
#include "base/mem.h"
#include "text/field.h"

#include <string.h>

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

static void wordpiece_append(const struct decoder *d, struct str piece, bool is_first,
                             struct buffer *out)
{
    size_t start = out->len;
    struct str prefix = str_of(d->prefix);
    if (!is_first && str_starts(piece, prefix))
        piece = (struct str){ piece.data + prefix.len, piece.len - prefix.len };
    else if (!is_first)
        buffer_append(out, " ", 1);
    buffer_str(out, piece);
    if (!d->cleanup || out->failed || out->len == start)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(cleanups); i++)
        out->len = start + replace((char *)out->data + start, out->len - start, cleanups[i].from,
                                   cleanups[i].to);
}

static enum weir_code wordpiece_load(struct decoder *d, const struct field *f,
                                     struct weir_error *err)
{
    static const char *const names[] = { "type", "prefix", "cleanup", NULL };
    struct str prefix;
    if (field_only(f, names, err) || field_text(f, "prefix", &prefix, err) ||
        field_bool(f, "cleanup", &d->cleanup, err))
        return WEIR_LOAD_FAILED;
    d->prefix = mem_copy_text(prefix.data, prefix.len);
    return WEIR_OK;
}

static const struct decoder_kind kinds[] = {
    {"WordPiece", wordpiece_load, wordpiece_append},
};

enum weir_code decoder_load(struct decoder *d, const struct field *f, struct weir_error *err)
{
    struct component part;
    if (field_component(f, "decoders", &part, err))
        return WEIR_LOAD_FAILED;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (str_eq(part.type, str_of(kinds[i].name))) {
            d->kind = &kinds[i];
            return kinds[i].load(d, &part.item, err);
        }
    }
    return field_unknown_type(&part, err);
}

void decoder_finish(struct decoder *d)
{
    mem_free(d->prefix);
    *d = (struct decoder){ 0 };
}

void decoder_append(const struct decoder *d, struct str piece, bool is_first, struct buffer *out)
{
    d->kind->append(d, piece, is_first, out);
}
