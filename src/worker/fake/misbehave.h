/* misbehave.h — the three ways in which a fake worker breaks its word. */
#ifndef WORKER_FAKE_MISBEHAVE_H
#define WORKER_FAKE_MISBEHAVE_H

_Noreturn void misbehave_crash(void); /* dies of SIGABRT, quickly */
_Noreturn void misbehave_hang(void);  /* computes for ever without a tick */
void misbehave_garbage(void);         /* bytes on the channel that are no frame */

#endif
