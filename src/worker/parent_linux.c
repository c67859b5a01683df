#define _GNU_SOURCE
#include "worker/parent.h"

#include <signal.h>
#include <sys/prctl.h>

void parent_bind(void)
{
    /* A parent that died before this line closed the channel: its end is read there. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}
