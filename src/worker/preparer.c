#include "worker/preparer.h"

#include "base/mem.h"
#include "worker/asked.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct preparer {
    const struct worker_ops *ops;
    int fd;
    struct control_page *page;
};

/* Nobody reads the channel while it works, so its end is looked for here. */
static void tick(void *context)
{
    const struct preparer *p = context;
    char byte;
    control_page_tick(p->page);
    if (recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        _exit(EXIT_SUCCESS);
}

static bool reply(void *context, const struct frame *question, struct buffer *body,
                  struct weir_error *err)
{
    struct preparer *p = context;
    struct message_prepare m;
    struct weir_error outcome;
    if (!message_prepare_read(question, &m, err))
        return false;
    char *path = mem_copy_text(m.path.data, m.path.len);
    char *cache = mem_copy_text(m.cache.data, m.cache.len);
    const struct worker_preparation order = { .path = path,
                                              .context = m.context,
                                              .precision = m.precision,
                                              .cache = cache,
                                              .tick = tick,
                                              .tick_context = p };
    if (p->ops->prepare == NULL || p->ops->prepare(&order, &outcome) == WEIR_OK)
        outcome = (struct weir_error){ .code = WEIR_OK, .index = -1 };
    mem_free(path);
    mem_free(cache);
    message_prepared_write(body, &outcome);
    return true;
}

int preparer_run(const struct worker_ops *ops, int fd, struct control_page *page)
{
    struct preparer p = { .ops = ops, .fd = fd, .page = page };
    return asked_run(&(struct asked){ .name = ops->name,
                                      .question = FRAME_PREPARE,
                                      .answer = FRAME_PREPARED,
                                      .reply = reply,
                                      .context = &p },
                     fd);
}
