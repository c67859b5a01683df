/* main.c — `weir VERB …`: finds the verb and runs it. */
#include "cmd/verb.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int no_such_verb(const char *name)
{
    const char *const near = verb_nearest(name);
    fprintf(stderr, "weir: there is no verb '%s'%s%s%s\nSee 'weir help'.\n", name,
            near != NULL ? ", perhaps '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
    return 2;
}

/* A standard descriptor that was closed must not become that of a socket, which what is printed or
 * logged would go to. What takes its place is as little use as a closed one. */
static bool hold_standard_places(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        const int way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", way) != fd)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!hold_standard_places())
        return 1; /* and nowhere to say so */
    /* A reader that went away is an error of the write, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fprintf(stderr, "weir: a verb is missing\nSee 'weir help'.\n");
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0)
        name = "version";
    else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    const struct verb *const verb = verb_find(name);
    return verb != NULL ? verb->run(verb, argc - 2, argv + 2) : no_such_verb(name);
}
