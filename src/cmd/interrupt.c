#include "cmd/interrupt.h"

#include "base/check.h"
#include "base/str.h"
#include "cmd/output_file.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

static struct {
    bool taken[ARRAY_COUNT(caught)];
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

/* What was ignored from the start stays so: nohup and shells without jobs mean it. */
void interrupt_arm(const struct output_file *file)
{
    struct sigaction before, action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++)
        sigaddset(&action.sa_mask, caught[i]);
    state.file = file;
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++) {
        sigaction(caught[i], NULL, &before);
        state.taken[i] = before.sa_handler != SIG_IGN;
        if (state.taken[i])
            sigaction(caught[i], &action, NULL);
    }
}

void interrupt_disarm(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++) {
        if (state.taken[i])
            signal(caught[i], SIG_DFL);
        state.taken[i] = false;
    }
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
