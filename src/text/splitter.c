#include "text/splitter.h"

struct splitter splitter_of(struct pretokenizer_walk *w, size_t step, struct piece piece,
                            enum split_behavior behavior)
{
    return (struct splitter){ .walk = w, .step = step, .piece = piece, .behavior = behavior };
}

static bool close(struct splitter *s)
{
    bool was_open = s->is_open;
    s->is_open = false;
    struct piece part = {
        {s->piece.text.data + s->start, s->end - s->start},
        s->piece.is_first && s->start == 0
    };
    return !was_open || pretokenizer_pass(s->walk, s->step, part);
}

/* Whether what follows the open piece belongs to it. */
static bool joins(const struct splitter *s, bool matched)
{
    switch (s->behavior) {
    case SPLIT_MERGED_WITH_PREVIOUS: return matched && !s->last_matched;
    case SPLIT_MERGED_WITH_NEXT: return !matched && s->last_matched;
    case SPLIT_CONTIGUOUS: return matched == s->last_matched;
    case SPLIT_REMOVED:
    case SPLIT_ISOLATED:
    case SPLIT_BEHAVIORS_COUNT: break;
    }
    return false;
}

bool splitter_add(struct splitter *s, size_t end, bool matched)
{
    matched = matched != s->inverts;
    if (!s->is_open || !joins(s, matched)) {
        size_t start = s->end;
        if (!close(s))
            return false;
        s->start = start;
        s->is_open = s->behavior != SPLIT_REMOVED || !matched;
    }
    s->end = end;
    s->last_matched = matched;
    return true;
}

bool splitter_end(struct splitter *s)
{
    return close(s);
}
