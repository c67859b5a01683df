/* top_view.h — the picture of `weir top`: a pure function of what is known to rows of characters.
 *
 * A frame is a grid of ASCII with a style a cell; a terminal shows it, a script prints it, a test
 * reads it. The head stays where it is, the rest scrolls below it. */
#ifndef CMD_TOP_VIEW_H
#define CMD_TOP_VIEW_H

#include "cmd/top_sample.h"

#include <stdbool.h>
#include <stddef.h>

#define TOP_COLUMNS_LEAST 40
#define TOP_COLUMNS_MOST  400

#define TOP_STYLES(X) X(PLAIN) X(HEAD) X(DIM) X(GOOD) X(BUSY) X(WARN) X(BAD)
enum top_style {
#define X(NAME) TOP_##NAME,
    TOP_STYLES(X)
#undef X
        TOP_STYLE_COUNT
};

struct top_line {
    char text[TOP_COLUMNS_MOST + 1];
    unsigned char styles[TOP_COLUMNS_MOST]; /* enum top_style */
};

struct top_frame {
    struct top_line *lines;
    size_t count;
    size_t head; /* leading lines that do not scroll */
    size_t columns;
    size_t room; /* of `lines` */
};

/* `problem` (or NULL) says why no server answers; then the last picture stays under it. All lines
 * there are, whatever the height of the screen; `columns` is put within the bounds above. */
void top_view_draw(struct top_frame *f, const struct top_history *h, const char *host,
                   const char *problem, size_t columns);
void top_frame_finish(struct top_frame *f);

/* How far a frame may be scrolled on a screen of so many rows. */
size_t top_view_scroll_most(const struct top_frame *f, size_t rows);
/* The line for a row of the screen, or NULL where there is none. */
const struct top_line *top_view_row(const struct top_frame *f, size_t rows, size_t scroll,
                                    size_t row);

#endif
