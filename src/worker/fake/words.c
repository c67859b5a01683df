#include "worker/fake/words.h"

#include "worker/fake/answer.h"

#include <stdio.h>
#include <string.h>

#define NUMBERED_BYTES 18 /* "token " and the digits of a 32-bit number, and a NUL */

bool words_reversed(struct arena *arena, struct str question, struct str last, struct words *out)
{
    const size_t count = answer_words(question);
    struct str *pieces = arena_try(arena, count + 1, sizeof(*pieces));
    char *text = arena_try(arena, question.len + last.len + 2, 1);
    if (!pieces || !text)
        return false;
    for (size_t i = 0; i < count; i++)
        pieces[count - 1 - i] = answer_next_word(&question);
    pieces[count] = last;
    out->pieces = pieces;
    out->count = count + (last.len > 0);
    for (size_t i = 0; i < out->count; i++) {
        const struct str word = pieces[i];
        const size_t space = i > 0;
        text[0] = ' ';
        memcpy(text + space, word.data, word.len);
        pieces[i] = (struct str){ text, space + word.len };
        text += space + word.len;
    }
    return true;
}

bool words_numbered(struct arena *arena, uint32_t count, struct words *out)
{
    struct str *pieces = arena_try(arena, (size_t)count + 1, sizeof(*pieces));
    char *text = arena_try(arena, (size_t)count + 1, NUMBERED_BYTES);
    if (!pieces || !text)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const int len = snprintf(text, NUMBERED_BYTES, "token %u", (unsigned)i);
        pieces[i] = (struct str){ text, (size_t)len };
        text += len;
    }
    *out = (struct words){ pieces, count };
    return true;
}

/* Where `wanted` begins in the text, or the length of the text. */
static size_t find(struct str text, struct str wanted)
{
    for (size_t at = 0; wanted.len <= text.len && at <= text.len - wanted.len; at++) {
        if (memcmp(text.data + at, wanted.data, wanted.len) == 0)
            return at;
    }
    return text.len;
}

void words_stop(struct words *w, const struct str *stops, size_t count)
{
    if (w->count == 0)
        return;
    const struct str *last = &w->pieces[w->count - 1];
    struct str text = { w->pieces[0].data, (size_t)(last->data - w->pieces[0].data) + last->len };
    const struct str whole = text;
    for (size_t i = 0; i < count; i++) {
        const size_t at = find(whole, stops[i]);
        text.len = at < text.len ? at : text.len;
    }
    if (text.len == whole.len)
        return;
    for (size_t i = 0, at = 0; i < w->count; at += w->pieces[i++].len) {
        if (at + w->pieces[i].len < text.len)
            continue;
        w->pieces[i].len = text.len - at;
        w->count = i + (w->pieces[i].len > 0);
        return;
    }
}

bool words_limit(struct words *w, size_t most)
{
    if (w->count <= most)
        return false;
    w->count = most;
    return true;
}
