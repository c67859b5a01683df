#include "worker/inspector.h"

#include "base/mem.h"
#include "worker/asked.h"
#include "worker/worker.h"

static bool reply(void *context, const struct frame *question, struct buffer *body,
                  struct weir_error *err)
{
    const struct worker_ops *ops = context;
    struct message_inspect m;
    struct message_inspected answer = { 0 };
    if (!message_inspect_read(question, &m, err))
        return false;
    char *path = mem_copy_text(m.path.data, m.path.len);
    if (ops->inspect(path, m.context, &answer.plan, &answer.error) == WEIR_OK)
        answer.error = (struct weir_error){ .code = WEIR_OK, .index = -1 };
    mem_free(path);
    message_inspected_write(body, &answer);
    return true;
}

int inspector_run(const struct worker_ops *ops, int fd)
{
    (void)confine_enter(CONFINE_INSPECT, NULL, ops->name);
    return asked_run(&(struct asked){ .name = ops->name,
                                      .question = FRAME_INSPECT,
                                      .answer = FRAME_INSPECTED,
                                      .reply = reply,
                                      .context = (void *)(uintptr_t)ops },
                     fd);
}
