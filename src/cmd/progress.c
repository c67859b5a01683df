#include "cmd/progress.h"

#include "base/clock.h"
#include "base/str.h"
#include "cmd/interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY_MS 100
#define BAR      24

void progress_begin(struct progress *p, size_t total, bool wanted)
{
    const char *const terminal = getenv("TERM");
    const bool can_wipe = terminal != NULL && strcmp(terminal, "dumb") != 0;
    *p = (struct progress){ .shown = wanted && can_wipe && isatty(STDERR_FILENO),
                            .total = total,
                            .start_ms = clock_ms() };
}

void progress_line(const struct progress *p, size_t done, double share, int64_t elapsed_ms,
                   char out[PROGRESS_ROOM])
{
    char bar[BAR + 1], head[48] = "", count[64];
    if (p->total > 0)
        share = (double)done / (double)p->total;
    if (share >= 0) {
        const double part = share < 1 ? share : 1;
        const size_t full = (size_t)(part * BAR);
        memset(bar, '-', BAR);
        memset(bar, '#', full);
        bar[BAR] = '\0';
        str_print(head, sizeof(head), "[%s] %3d %%  ", bar, (int)(part * 100));
    }
    if (p->total > 0)
        str_print(count, sizeof(count), "%zu of %zu texts", done, p->total);
    else
        str_print(count, sizeof(count), "%zu texts", done);
    str_print(out, PROGRESS_ROOM, "%s%s, %.0f a second", head, count,
              elapsed_ms > 0 ? (double)done * 1000 / (double)elapsed_ms : 0.0);
}

void progress_show(struct progress *p, size_t done, double share)
{
    const int64_t now_ms = clock_ms();
    char line[PROGRESS_ROOM];
    const int64_t before_ms = p->last_ms > 0 ? p->last_ms : p->start_ms;
    const bool is_over = p->total > 0 && done == p->total;
    if (!p->shown || is_over || (done > 0 && now_ms - before_ms < EVERY_MS))
        return;
    p->last_ms = now_ms;
    progress_line(p, done, share, now_ms - p->start_ms, line);
    interrupt_wipes(true);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->last_ms > 0)
        fprintf(stderr, "\r\033[K");
    interrupt_wipes(false);
    p->last_ms = 0;
}
