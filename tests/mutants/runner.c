/* All unit tests of the supervisor in one program: runs those that it is given by name, each in a
 * process and with a limit of CPU time of its own, and ends with the first that fails. Who compiles
 * this names them: TESTS is TEST(name) TEST(name) ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST(name) int main_of_##name(void);
TESTS
#undef TEST

static const struct {
    const char *name;
    int (*run)(void);
} tests[] = {
#define TEST(name) { #name, main_of_##name },
    TESTS
#undef TEST
};

enum { WAIT_SECONDS = 6 * TEST_SECONDS };

/* How its process ended, as waitpid says it. */
static int run_apart(int (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit cpu = { TEST_SECONDS, TEST_SECONDS + 1 };
        setrlimit(RLIMIT_CPU, &cpu);
        alarm(WAIT_SECONDS); /* one that sleeps uses no CPU time */
        exit(run() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = EXIT_FAILURE;
    if (child > 0)
        waitpid(child, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (size_t k = 0; k < sizeof tests / sizeof *tests; k++) {
            int status = strcmp(argv[i], tests[k].name) == 0 ? run_apart(tests[k].run) : 0;
            if (status != 0) {
                printf("fails: %s, %s\n", argv[i],
                       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
                return EXIT_FAILURE;
            }
        }
    }
    return EXIT_SUCCESS;
}
