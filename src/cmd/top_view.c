#include "cmd/top_view.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"

#include <stdarg.h>
#include <string.h>

#define KEYS "q quits"

/* Where the next character of a line goes. */
struct pen {
    struct top_line *line;
    size_t at, columns;
};

static struct pen new_line(struct top_frame *f)
{
    if (f->count == f->room) {
        const size_t room = f->room > 0 ? 2 * f->room : 64;
        struct top_line *const grown = mem_resize(f->lines, room, sizeof(*grown));
        CHECK(grown != NULL);
        f->lines = grown;
        f->room = room;
    }
    struct top_line *const line = &f->lines[f->count++];
    memset(line->text, ' ', sizeof(line->text));
    memset(line->styles, TOP_PLAIN, sizeof(line->styles));
    line->text[f->columns] = '\0';
    return (struct pen){ .line = line, .columns = f->columns };
}

static void put(struct pen *p, enum top_style style, char c)
{
    if (p->at >= p->columns)
        return;
    p->line->text[p->at] = c >= 0x20 && c <= 0x7e ? c : '?';
    p->line->styles[p->at++] = (unsigned char)style;
}

static void print(struct pen *p, enum top_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void print(struct pen *p, enum top_style style, const char *format, ...)
{
    char text[TOP_COLUMNS_MOST + 1];
    va_list args;
    va_start(args, format);
    str_vprint(text, sizeof(text), format, args);
    va_end(args);
    for (const char *at = text; *at != '\0'; at++)
        put(p, style, *at);
}

static enum top_style style_of_pressure(const char *pressure)
{
    if (strcmp(pressure, "Critical") == 0)
        return TOP_BAD;
    return strcmp(pressure, "High") == 0 ? TOP_WARN : TOP_GOOD;
}

static enum top_style style_of_state(char letter)
{
    switch (letter) {
    case 'R': return TOP_GOOD;
    case 'P': return TOP_BUSY;
    case 'S':
    case 'L':
    case 'E': return TOP_WARN;
    case 'D':
    case 'F': return TOP_BAD;
    default: return TOP_DIM;
    }
}

/* A dash while there are no two samples to compare. */
static void print_rate(struct pen *p, double rate, int width)
{
    if (rate < 0)
        print(p, TOP_DIM, "%*s", width, "-");
    else
        print(p, rate > 0 ? TOP_BUSY : TOP_PLAIN, "%*.1f", width, rate);
}

static void draw_title(struct top_frame *f, const struct top_history *h, const char *host)
{
    struct pen p = new_line(f);
    const double failed = top_history_rate(h, NULL, true);
    print(&p, TOP_HEAD, "weir top  %s  ", host);
    print_rate(&p, top_history_rate(h, NULL, false), 1);
    print(&p, TOP_PLAIN, " requests/s, ");
    print(&p, failed > 0 ? TOP_BAD : TOP_PLAIN, failed < 0 ? "-" : "%.1f", failed);
    print(&p, TOP_PLAIN, " failed/s   ");
    print(&p, TOP_DIM, KEYS);
}

/* '#' is leased and measured, '=' leased and not measured, '.' free. */
static void draw_memory(struct top_frame *f, const struct top_sample *s)
{
    struct size_text leased, budget, measured;
    struct pen p = new_line(f);
    const size_t width = f->columns > 20 ? f->columns - 10 : 10;
    const double most = s->budget_bytes > s->leased_bytes ? (double)s->budget_bytes
                        : s->leased_bytes > 0             ? (double)s->leased_bytes
                                                          : 1;
    const enum top_style style = style_of_pressure(s->pressure);
    print(&p, TOP_HEAD, "memory [");
    for (size_t i = 0; i < width; i++) {
        const double here = ((double)i + 0.5) / (double)width * most;
        if (here < (double)s->measured_bytes && here < (double)s->leased_bytes)
            put(&p, style, '#');
        else
            put(&p, here < (double)s->leased_bytes ? style : TOP_DIM,
                here < (double)s->leased_bytes ? '=' : '.');
    }
    print(&p, TOP_HEAD, "]");
    p = new_line(f);
    print(&p, TOP_PLAIN, "       %s leased of %s, %s measured, pressure ",
          size_format(s->leased_bytes, &leased), size_format(s->budget_bytes, &budget),
          size_format(s->measured_bytes, &measured));
    print(&p, style, "%s", s->pressure);
}

static void draw_model(struct top_frame *f, const struct top_history *h, const struct top_model *m)
{
    struct pen p = new_line(f);
    const bool is_open = strcmp(m->breaker, "closed") != 0;
    print(&p, TOP_PLAIN, "%-24.24s ", m->name);
    print(&p, m->queue > 0 ? TOP_WARN : TOP_PLAIN, "%6lld ", (long long)m->queue);
    print(&p, TOP_PLAIN, "%6.1f s ", m->queue > 0 ? (double)m->oldest_ms / 1000 : 0.0);
    print(&p, TOP_PLAIN, "%6.1f s ", (double)m->predicted_ms / 1000);
    print_rate(&p, top_history_rate(h, m->name, false), 8);
    print(&p, is_open ? TOP_BAD : TOP_PLAIN, "  %-9s", m->breaker);
    print(&p, m->has_problem ? TOP_BAD : TOP_DIM, " %s",
          m->has_problem ? "problem"
          : m->pinned    ? "pinned"
                         : "");
}

static void draw_worker(struct top_frame *f, const struct top_history *h,
                        const struct top_worker *w)
{
    struct size_text leased;
    struct pen p = new_line(f);
    print(&p, TOP_PLAIN, "%6lld %-16.16s ", (long long)w->id, h->now.models[w->model].name);
    print(&p, style_of_state(w->state[0]), "%-10s ", w->state);
    print(&p, TOP_PLAIN, "%4lld %9s ", (long long)w->jobs, size_format(w->leased_bytes, &leased));
    const char *strip = top_history_strip(h, w->id);
    const size_t len = strlen(strip), room = p.columns > p.at ? p.columns - p.at : 0;
    if (len > room) /* the newest are on the right, and stay */
        strip += len - room;
    for (; *strip != '\0'; strip++)
        put(&p, style_of_state(*strip), *strip);
}

static void draw_all(struct top_frame *f, const struct top_history *h)
{
    struct pen p = new_line(f);
    print(&p, TOP_HEAD, "%-24s %6s %8s %8s %8s  %s", "MODEL", "QUEUE", "OLDEST", "NEXT", "REQ/S",
          "BREAKER");
    for (size_t i = 0; i < h->now.models_count; i++)
        draw_model(f, h, &h->now.models[i]);
    if (h->now.models_count == 0) {
        p = new_line(f);
        print(&p, TOP_DIM, "no models");
    }
    new_line(f);
    p = new_line(f);
    print(&p, TOP_HEAD, "%6s %-16s %-10s %4s %9s %s", "WORKER", "MODEL", "STATE", "JOBS", "LEASED",
          "LAST MINUTE");
    for (size_t i = 0; i < h->now.workers_count; i++)
        draw_worker(f, h, &h->now.workers[i]);
    if (h->now.workers_count == 0) {
        p = new_line(f);
        print(&p, TOP_DIM, "no workers");
    }
}

void top_view_draw(struct top_frame *f, const struct top_history *h, const char *host,
                   const char *problem, size_t columns)
{
    *f = (struct top_frame){ .columns = columns };
    if (f->columns < TOP_COLUMNS_LEAST)
        f->columns = TOP_COLUMNS_LEAST;
    if (f->columns > TOP_COLUMNS_MOST)
        f->columns = TOP_COLUMNS_MOST;
    draw_title(f, h, host);
    if (problem != NULL) {
        struct pen p = new_line(f);
        print(&p, TOP_BAD, "retrying: %s", problem);
    }
    if (h->samples > 0)
        draw_memory(f, &h->now);
    f->head = f->count;
    if (h->samples > 0)
        draw_all(f, h);
}

void top_frame_finish(struct top_frame *f)
{
    mem_free(f->lines);
    *f = (struct top_frame){ 0 };
}

size_t top_view_scroll_most(const struct top_frame *f, size_t rows)
{
    return f->count > rows ? f->count - rows : 0;
}

const struct top_line *top_view_row(const struct top_frame *f, size_t rows, size_t scroll,
                                    size_t row)
{
    const size_t most = top_view_scroll_most(f, rows);
    const size_t at = row < f->head ? row : row + (scroll < most ? scroll : most);
    return at < f->count ? &f->lines[at] : NULL;
}
