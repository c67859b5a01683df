#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/top_view.h"

#include <errno.h>
#include <jansson.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_MS    1000
#define ANSWER_MS    2000 /* a server that is slower than this is shown as silent */
#define METRICS_MAX  (size_t)(64 * MiB)
#define ONCE_COLUMNS 120

struct top_options {
    bool once;
};

static const struct option top_options_table[] = {
    OPTION(.name = "once", .type = OPTION_FLAG, .offset = offsetof(struct top_options, once),
           .help = "Print one picture as text and end, for scripts."),
};

static volatile sig_atomic_t ended_by;

static void on_end_signal(int number)
{
    ended_by = number;
}

/* Without SA_RESTART, so that waiting for a key ends at once. */
static void catch_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction action = { .sa_handler = on_end_signal };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

/* --- one look at the server ------------------------------------------------------------------- */

static enum weir_code look(const struct api *api, struct top_history *h, struct weir_error *err)
{
    struct weir_error no_metrics; /* without them there are no rates, and that is all */
    struct top_sample sample;
    struct buffer metrics;
    json_t *status = NULL;
    const enum weir_code code = ask_status(api, ANSWER_MS, NULL, &status, err);
    if (code != WEIR_OK)
        return code;
    buffer_init(&metrics, METRICS_MAX);
    if (api_text(api, "/metrics", ANSWER_MS, &metrics, &no_metrics) != WEIR_OK)
        buffer_clear(&metrics);
    top_sample_read(&sample, status, buffer_view(&metrics), clock_ms());
    top_history_give(h, &sample);
    buffer_finish(&metrics);
    json_decref(status);
    return WEIR_OK;
}

static int print_once(const struct verb *verb, const struct api *api)
{
    struct top_history history = { 0 };
    struct top_frame frame;
    struct weir_error err;
    struct buffer out;
    if (look(api, &history, &err) != WEIR_OK)
        return verb_failed(verb, &err);
    buffer_init(&out, 64 * MiB);
    top_view_draw(&frame, &history, api->host, NULL, ONCE_COLUMNS);
    for (size_t i = 0; i < frame.count; i++) {
        const char *const text = frame.lines[i].text;
        size_t len = strlen(text);
        while (len > 0 && text[len - 1] == ' ')
            len--;
        buffer_printf(&out, "%.*s\n", (int)len, text);
    }
    top_frame_finish(&frame);
    top_history_finish(&history);
    return verb_end(verb, &out);
}

/* --- the terminal ----------------------------------------------------------------------------- */

struct screen {
    SCREEN *terminal;
    struct top_history history;
    const char *host;
    char problem[256]; /* "" while the server answers */
    size_t scroll;
    bool quit;
};

static void set_styles(void)
{
    static const short colours[TOP_STYLE_COUNT] = {
        [TOP_PLAIN] = -1,         [TOP_HEAD] = -1,         [TOP_DIM] = -1,
        [TOP_GOOD] = COLOR_GREEN, [TOP_BUSY] = COLOR_CYAN, [TOP_WARN] = COLOR_YELLOW,
        [TOP_BAD] = COLOR_RED,
    };
    if (!has_colors() || start_color() == ERR || use_default_colors() == ERR)
        return;
    for (short i = 0; i < TOP_STYLE_COUNT; i++)
        init_pair((short)(i + 1), colours[i], -1);
}

static attr_t attributes_of(unsigned char style)
{
    const attr_t colour = has_colors() ? (attr_t)COLOR_PAIR(style + 1) : (attr_t)A_NORMAL;
    if (style == TOP_HEAD || style == TOP_BAD)
        return colour | A_BOLD;
    return style == TOP_DIM ? colour | A_DIM : colour;
}

/* False when the terminal is of a kind that cannot be drawn on. */
static bool open_terminal(struct screen *s)
{
    s->terminal = newterm(NULL, stdout, stdin);
    if (s->terminal == NULL)
        return false;
    catch_signals(); /* after ncurses, which has handlers of its own for two of them */
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    set_styles();
    return true;
}

static void close_terminal(struct screen *s)
{
    endwin();
    delscreen(s->terminal);
}

static size_t screen_rows(void)
{
    return LINES > 0 ? (size_t)LINES : 1;
}

static void show(struct screen *s)
{
    struct top_frame frame;
    const size_t columns = COLS > 0 ? (size_t)COLS : TOP_COLUMNS_LEAST;
    top_view_draw(&frame, &s->history, s->host, s->problem[0] != '\0' ? s->problem : NULL, columns);
    const size_t most = top_view_scroll_most(&frame, screen_rows());
    if (s->scroll > most)
        s->scroll = most;
    erase();
    for (size_t row = 0; row < screen_rows(); row++) {
        const struct top_line *const line = top_view_row(&frame, screen_rows(), s->scroll, row);
        if (line == NULL)
            break;
        for (size_t i = 0; i < columns && i < frame.columns; i++)
            mvaddch((int)row, (int)i,
                    (chtype)(unsigned char)line->text[i] | attributes_of(line->styles[i]));
    }
    refresh();
    top_frame_finish(&frame);
}

static void take_key(struct screen *s, int key)
{
    const size_t page = screen_rows() > 6 ? screen_rows() - 6 : 1;
    switch (key) {
    case 'q': s->quit = true; break;
    case KEY_UP: s->scroll -= s->scroll > 0; break;
    case KEY_DOWN: s->scroll++; break; /* what is too far is cut where it is shown */
    case KEY_PPAGE: s->scroll -= s->scroll > page ? page : s->scroll; break;
    case KEY_NPAGE: s->scroll += page; break;
    case KEY_HOME: s->scroll = 0; break;
    default: break; /* KEY_RESIZE too: the next picture has the new size */
    }
}

/* Waits for keys until `until_ms`, and returns earlier when there was one. */
static void wait_keys(struct screen *s, int64_t until_ms)
{
    struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
    const int64_t left_ms = until_ms - clock_ms();
    const int ready = poll(&keys, 1, left_ms > 0 ? (int)left_ms : 0);
    if (ready > 0 && (keys.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
        s->quit = true; /* the terminal is gone */
        return;
    }
    for (int key; !s->quit && (key = getch()) != ERR;)
        take_key(s, key);
}

static void watch(struct screen *s, const struct api *api)
{
    struct weir_error err;
    int64_t next_ms = clock_ms();
    while (!s->quit && ended_by == 0) {
        if (clock_ms() >= next_ms) {
            next_ms = clock_ms() + PERIOD_MS;
            const bool answered = look(api, &s->history, &err) == WEIR_OK;
            str_print(s->problem, sizeof(s->problem), "%s", answered ? "" : err.text);
            if (!answered)
                top_history_miss(&s->history);
        }
        show(s);
        wait_keys(s, next_ms);
    }
}

static int run_screen(const struct verb *verb, const struct api *api)
{
    struct screen s = { .host = api->host };
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return verb_misused(verb, "it needs a terminal; `weir ps` or `weir top --once` print what "
                                  "there is");
    if (!open_terminal(&s))
        return verb_misused(verb, "this terminal cannot be drawn on (is TERM right?); `weir ps` "
                                  "prints what there is");
    watch(&s, api);
    close_terminal(&s);
    top_history_finish(&s.history);
    return ended_by != 0 ? 128 + ended_by : 0;
}

static int top_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct top_options options = { 0 };
    struct weir_error err;
    struct api api;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    if (o.rest_count > 0)
        status = verb_misused(verb, "'%s' is one argument too many", o.rest[0]);
    else if (api_init(&api, &err) != WEIR_OK)
        status = verb_misused(verb, "%s", err.text);
    else
        status = options.once ? print_once(verb, &api) : run_screen(verb, &api);
    options_finish(&o);
    return status;
}

const struct verb verb_top = {
    .name = "top",
    .arguments = "",
    .summary = "the running server, live in the terminal",
    .details =
        "Shows memory, queues and workers of the server at $WEIR_HOST (default\n"
        "http://127.0.0.1:9347, with $WEIR_API_KEY as its key), anew each second. A worker's last\n"
        "minute is a letter a second: Spawning, Loading, Ready, Processing, Idle, Evicting, Dead\n"
        "or Failed. NEXT is how long a request that came now would wait.",
    .options = top_options_table,
    .options_count = ARRAY_COUNT(top_options_table),
    .run = top_run,
};
