#include "cmd/texts.h"

#include "base/check.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK       (64 * 1024)
#define BATCH_BYTES (1024 * 1024)
#define IN_MAX      (TEXTS_BYTES_MAX + BATCH_BYTES + 2 * BLOCK)

void texts_of_arguments(struct texts *t, const char *const *arguments, size_t count)
{
    *t = (struct texts){ .arguments = arguments, .arguments_count = count, .fd = -1 };
    buffer_init(&t->in, 0);
}

void texts_of_lines(struct texts *t, int fd)
{
    struct stat file;
    *t = (struct texts){ .fd = fd, .are_lines = true };
    const off_t at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > at)
        t->size = (uint64_t)(file.st_size - at);
    buffer_init(&t->in, IN_MAX);
    /* All of it at once, so that the bytes which the batch borrows never move. */
    CHECK(buffer_reserve(&t->in, IN_MAX) != NULL);
}

size_t texts_total(const struct texts *t)
{
    return t->are_lines ? 0 : t->arguments_count;
}

double texts_share(const struct texts *t)
{
    if (!t->are_lines)
        return (double)t->next / (double)(t->arguments_count > 0 ? t->arguments_count : 1);
    return t->size > 0 ? (double)(t->passed + t->used) / (double)t->size : -1;
}

void texts_finish(struct texts *t)
{
    buffer_finish(&t->in);
}

/* Checks one text and adds it to the batch, or keeps the problem for when the batch was given. */
static bool add(struct texts *t, struct str text)
{
    const char *const kind = t->are_lines ? "line" : "text";
    const size_t number = t->next + 1;
    const size_t valid = str_utf8_valid(text);
    if (t->are_lines ? str_trim(text).len == 0 : text.len == 0)
        weir_fail(&t->problem, WEIR_INVALID, "%s %zu is %s", kind, number,
                  t->are_lines ? "blank" : "empty");
    else if (text.len > TEXTS_BYTES_MAX)
        weir_fail(&t->problem, WEIR_INVALID, "%s %zu is over %d bytes", kind, number,
                  TEXTS_BYTES_MAX);
    else if (valid != text.len)
        weir_fail(&t->problem, WEIR_INVALID, "%s %zu is not UTF-8: byte %zu", kind, number, valid);
    else {
        t->items[t->count++] = text;
        t->next++;
        return true;
    }
    return false;
}

/* "input 3 has …" and "input 3: …": the number, and the text behind it. A server's answer has no
 * other place for it. */
static bool cut_input(struct str text, uint64_t *number, struct str *rest)
{
    const struct str head = STR("input ");
    if (!str_starts(text, head))
        return false;
    *rest = (struct str){ text.data + head.len, text.len - head.len };
    struct str digits = { rest->data, 0 };
    while (digits.len < rest->len && rest->data[digits.len] >= '0' && rest->data[digits.len] <= '9')
        digits.len++;
    *rest = (struct str){ rest->data + digits.len, rest->len - digits.len };
    return str_to_u64(digits, number);
}

bool texts_name_error(const struct texts *t, size_t from, size_t count, struct weir_error *err)
{
    const char *const kind = t->are_lines ? "line" : "text";
    const struct weir_error before = *err;
    struct str rest;
    uint64_t input;
    if (cut_input(str_of(before.text), &input, &rest) && input < count) {
        str_print(err->text, sizeof(err->text), "%s %zu%.*s", kind,
                  t->first + from + (size_t)input + 1, STR_ARG(rest));
        return true;
    }
    if (err->index < 0 || (size_t)err->index >= count)
        return false;
    weir_wrap(err, "%s %zu", kind, t->first + from + (size_t)err->index + 1);
    return true;
}

static bool is_full(const struct texts *t)
{
    return t->count == TEXTS_BATCH || t->used >= BATCH_BYTES || t->problem.code != WEIR_OK;
}

/* Moves whole lines from the buffer into the batch; at the end of the input also the last piece. */
static void take_lines(struct texts *t)
{
    while (!is_full(t)) {
        const char *const data = (const char *)t->in.data + t->used;
        const size_t left = t->in.len - t->used;
        const char *const end = left > 0 ? memchr(data, '\n', left) : NULL;
        struct str line = { data, end != NULL ? (size_t)(end - data) : left };
        if (end == NULL && (!t->ended || left == 0)) {
            if (left > TEXTS_BYTES_MAX)
                add(t, line); /* which refuses it by its length */
            return;
        }
        t->used += line.len + (end != NULL);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        add(t, line);
    }
}

static enum weir_code read_more(struct texts *t, struct weir_error *err)
{
    uint8_t *const to = buffer_reserve(&t->in, BLOCK);
    CHECK(to != NULL); /* a line that would fill the buffer was refused by take_lines */
    ssize_t n;
    do
        n = read(t->fd, to, BLOCK);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return weir_fail_os(err, WEIR_INVALID, errno, "the input cannot be read");
    t->in.len += (size_t)n;
    t->ended = n == 0;
    return WEIR_OK;
}

static bool is_readable_now(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

static enum weir_code next_lines(struct texts *t, struct weir_error *err)
{
    buffer_drop(&t->in, t->used);
    t->passed += t->used;
    t->used = 0;
    for (;;) {
        take_lines(t);
        if (is_full(t) || t->ended || (t->count > 0 && !is_readable_now(t->fd)))
            return WEIR_OK;
        const enum weir_code code = read_more(t, err);
        if (code != WEIR_OK)
            return code;
    }
}

enum weir_code texts_next(struct texts *t, struct weir_error *err)
{
    enum weir_code code = WEIR_OK;
    t->count = 0;
    t->first = t->next;
    if (t->problem.code == WEIR_OK && t->are_lines)
        code = next_lines(t, err);
    while (!t->are_lines && t->next < t->arguments_count && !is_full(t))
        add(t, str_of(t->arguments[t->next]));
    if (code == WEIR_OK && t->count == 0 && t->problem.code != WEIR_OK) {
        if (err != NULL)
            *err = t->problem;
        code = t->problem.code;
    }
    return code;
}
