/* doctor.h — a worker started with `--doctor`: what it is, and how it would be confined here, as
 * JSON on stdout.
 *
 * First a line `{"build":"9c1d…","kernels":"avx2"}` (or `"problem"` instead of kernels). Then, for
 * each profile of confine.h, a process of its own confines itself as a worker does, tries from a
 * second thread what it must not be able to do, and says what happened:
 * `{"profile":"cpu","filters":true,"logs":false,"landlock":7,"refused":["connect",…],
 * "possible":[],"holds":true}`. `possible` holds what should have been refused. */
#ifndef WORKER_DOCTOR_H
#define WORKER_DOCTOR_H

int doctor_run(const char *name); /* the exit status */

#endif
