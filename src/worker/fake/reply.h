/* reply.h — what a fake worker answers, as payloads on their way: the functions of struct operation
 * in job.h. */
#ifndef WORKER_FAKE_REPLY_H
#define WORKER_FAKE_REPLY_H

#include "worker/fake/job.h"

enum weir_code reply_vectors(struct fake_job *j, struct control *c, struct weir_error *err);
enum weir_code reply_ids(struct fake_job *j, struct control *c, struct weir_error *err);
enum weir_code reply_texts(struct fake_job *j, struct control *c, struct weir_error *err);
bool reply_word(struct fake_job *j, struct control *c, size_t index);
bool reply_picture(struct fake_job *j, struct control *c, size_t index);

#endif
