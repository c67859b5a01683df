#include "worker/fake/misbehave.h"

#include "base/clock.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void misbehave_crash(void)
{
    fprintf(stderr, "weir-worker-fake: crashes, as it was told to\n");
    /* Without a sanitizer's report, which would take seconds to write. */
    signal(SIGABRT, SIG_DFL);
    abort();
}

void misbehave_hang(void)
{
    for (;;)
        clock_sleep_ms(1000);
}

void misbehave_garbage(void)
{
    static const char nonsense[] = "\xff\xfe this is no frame of any version of the wire \xff";
    (void)send(WORKER_CHANNEL_FD, nonsense, sizeof(nonsense), MSG_NOSIGNAL);
}
