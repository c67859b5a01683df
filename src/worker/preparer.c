#include "worker/preparer.h"

#include "base/file.h"
#include "base/mem.h"
#include "model/prepared.h"
#include "worker/asked.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct preparer {
    const struct worker_ops *ops;
    int fd;
    struct control_page *page;
    bool is_confined;
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

/* Before the first model's files are opened. The pool has one cache: where another folder is named
 * later, nothing can be written. */
static void confine(struct preparer *p, const char *cache)
{
    if (p->is_confined)
        return;
    char *folder = file_join(cache, PREPARED_FOLDER);
    (void)file_make_folders(folder); /* who writes there says what is wrong with it */
    (void)confine_enter(CONFINE_PREPARE, folder, p->ops->name);
    mem_free(folder);
    p->is_confined = true;
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
    confine(p, cache);
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
