/* main.c — `weir VERB …`: finds the verb and runs it. */
#include "cmd/verb.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int no_such_verb(const char *name)
{
    const char *const near = verb_nearest(name);
    fprintf(stderr, "weir: there is no verb '%s'%s%s%s\nSee 'weir help'.\n", name,
            near != NULL ? ", perhaps '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
    return 2;
}

int main(int argc, char **argv)
{
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
