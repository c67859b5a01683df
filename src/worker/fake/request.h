/* request.h — reads what a job asks of a fake worker. */
#ifndef WORKER_FAKE_REQUEST_H
#define WORKER_FAKE_REQUEST_H

#include "worker/fake/job.h"

/* Fills the job's operation and all that its answer needs. */
enum weir_code request_read(struct fake_job *j, struct weir_error *err);

#endif
