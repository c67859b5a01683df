#include "cmd/interrupt.h"

#include "base/str.h"
#include "cmd/output_file.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct {
    const struct output_file *file;
    char said[512];
    volatile sig_atomic_t held, pending, wipes;
} state;

static void put(const char *text)
{
    const ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* there is nobody else to tell */
}

/* Nothing but system calls: it runs within the handler. */
static void finish(int number)
{
    if (state.wipes)
        put("\r\033[K");
    if (state.file != NULL && state.file->fd >= 0) {
        /* Held: the piece is torn, and only the last signal's sender knows how much it matters. */
        if (state.held || state.said[0] == '\0')
            unlink(state.file->temporary);
        else if (output_file_settle(state.file, state.file->part))
            put(state.said);
    }
    _exit(128 + number);
}

static void on_signal(int number)
{
    if (state.held && state.pending == 0)
        state.pending = number;
    else
        finish(number);
}

void interrupt_arm(const struct output_file *file)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    state.file = file;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void interrupt_disarm(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    state.file = NULL;
    state.said[0] = '\0';
}

void interrupt_hold(void)
{
    state.held = 1;
}

void interrupt_release(void)
{
    state.held = 0;
    if (state.pending != 0)
        finish((int)state.pending);
}

void interrupt_say(const char *line)
{
    str_print(state.said, sizeof(state.said), "%s", line);
}

void interrupt_wipes(bool line)
{
    state.wipes = line;
}
