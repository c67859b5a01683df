#include "model/prepared.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCK_BYTES = 3 * 4096 + 64 };

struct fixture {
    char base[64];
    char *folder;
    int fills; /* how often a block was asked for */
};

static struct prepared_key key_of(uint8_t digest)
{
    struct prepared_key key = {
        .stamp = 7, .layout = "test.1", .precision = "f32", .block_bytes = BLOCK_BYTES
    };
    memset(key.digest, digest, sizeof(key.digest));
    return key;
}

static enum weir_code fill(void *context, void *block, struct weir_error *err)
{
    struct fixture *t = context;
    (void)err;
    t->fills++;
    memset(block, 'w', BLOCK_BYTES);
    return WEIR_OK;
}

static enum weir_code fail_to_fill(void *context, void *block, struct weir_error *err)
{
    (void)context;
    (void)block;
    return weir_fail(err, WEIR_LOAD_FAILED, "no such tensor");
}

static enum weir_code make_bound(struct fixture *t, const struct prepared_key *key,
                                 uint64_t bound_bytes, struct weir_error *err)
{
    const struct prepared_maker maker = { .fill = fill, .context = t };
    return prepared_make(t->folder, key, bound_bytes, &maker, err);
}

static enum weir_code make(struct fixture *t, const struct prepared_key *key,
                           struct weir_error *err)
{
    return make_bound(t, key, 0, err);
}

static int set_up(void **state)
{
    static struct fixture t;
    t = (struct fixture){ .base = "/tmp/weir-prepared-test-XXXXXX" };
    CHECK(mkdtemp(t.base) != NULL);
    t.folder = file_join(t.base, "cache/prepared");
    *state = &t;
    return 0;
}

/* The names in the folder that end so; *only is the path of the last one. */
static size_t count(const struct fixture *t, const char *end, char **only)
{
    size_t n = 0;
    DIR *dir = opendir(t->folder);
    for (const struct dirent *d = dir ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        const size_t length = strlen(d->d_name), tail = strlen(end);
        if (d->d_name[0] == '.' || length < tail || strcmp(d->d_name + length - tail, end) != 0)
            continue;
        n++;
        if (only != NULL && n == 1)
            *only = file_join(t->folder, d->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    return n;
}

static int tear_down(void **state)
{
    struct fixture *t = *state;
    for (char *path = NULL; count(t, "", &path) > 0; mem_free(path))
        CHECK(unlink(path) == 0 || rmdir(path) == 0);
    rmdir(t->folder);
    char *cache = file_join(t->base, "cache");
    CHECK(rmdir(cache) == 0 || unlink(cache) == 0 || errno == ENOENT);
    mem_free(cache);
    mem_free(t->folder);
    return rmdir(t->base);
}

static char *only_file(const struct fixture *t)
{
    char *path = NULL;
    assert_int_equal(count(t, "", &path), 1);
    return path;
}

static void assert_opens(const struct fixture *t, const struct prepared_key *key)
{
    struct prepared p;
    struct weir_error err = { .code = WEIR_OK };
    if (prepared_open(t->folder, key, &p, &err) != WEIR_OK)
        fail_msg("%s", err.text);
    assert_int_equal((uintptr_t)p.block % PREPARED_HEADER_BYTES, 0);
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        assert_int_equal(((const uint8_t *)p.block)[i], 'w');
    prepared_close(&p);
    assert_null(p.block);
}

static void assert_refused(const struct fixture *t, const struct prepared_key *key,
                           const char *saying)
{
    struct prepared p = { .block = NULL };
    struct weir_error err;
    assert_int_equal(prepared_open(t->folder, key, &p, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, saying));
    assert_null(p.block);
}

static void is_made_once_and_opened(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    const struct prepared_key key = key_of(1);
    assert_refused(t, &key, "there is no prepared file");
    assert_int_equal(make(t, &key, &err), WEIR_OK);
    assert_int_equal(make(t, &key, &err), WEIR_OK);
    assert_int_equal(t->fills, 1);
    assert_opens(t, &key);
    mem_free(only_file(t));
    prepared_close(&(struct prepared){ .block = NULL });
}

/* Whatever of the key differs, it is another file. */
static void every_part_of_the_key_counts(void **state)
{
    struct fixture *t = *state;
    const struct prepared_key first = key_of(1);
    struct prepared_key others[5];
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        others[i] = first;
    others[0].digest[0] = 2;
    others[1].digest[DIGEST_BYTES - 1] = 2; /* not in the name: the header alone tells */
    others[2].stamp = 8;
    others[3].layout = "test.2";
    others[4].precision = "bf16";
    assert_int_equal(make(t, &first, NULL), WEIR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        assert_refused(t, &others[i], i == 1 ? "header" : "there is no");
    struct prepared_key longer = first;
    longer.block_bytes++;
    assert_refused(t, &longer, "bytes instead of");
    /* Of two models with one name the last one made has the file. */
    assert_int_equal(make(t, &others[1], NULL), WEIR_OK);
    assert_refused(t, &first, "header");
    assert_opens(t, &others[1]);
    assert_int_equal(t->fills, 2);
}

static void spoil(const char *path, off_t at, const char *bytes)
{
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    close(fd);
}

static void rebuilds_what_is_spoilt(void **state)
{
    struct fixture *t = *state;
    const struct prepared_key key = key_of(1);
    assert_int_equal(make(t, &key, NULL), WEIR_OK);
    char *path = only_file(t);
    for (int round = 0; round < 5; round++) {
        const char *saying = "header";
        if (round == 0)
            spoil(path, 0, "WEIRPACK");
        else if (round == 1)
            spoil(path, PREPARED_HEADER_BYTES - 1, "x");
        else
            saying = "bytes instead of";
        if (round == 2)
            assert_int_equal(truncate(path, PREPARED_HEADER_BYTES + BLOCK_BYTES - 1), 0);
        else if (round == 3)
            assert_int_equal(truncate(path, PREPARED_HEADER_BYTES + BLOCK_BYTES + 1), 0);
        else if (round == 4)
            assert_int_equal(truncate(path, 0), 0);
        assert_refused(t, &key, saying);
        assert_int_equal(make(t, &key, NULL), WEIR_OK);
        assert_int_equal(t->fills, 2 + round);
        assert_opens(t, &key);
    }
    mem_free(path);
}

/* Opening waits for nothing, and a folder in the file's place is not taken away. */
static void refuses_what_is_no_file(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    const struct prepared_key key = key_of(1);
    assert_int_equal(make(t, &key, NULL), WEIR_OK);
    char *path = only_file(t);
    assert_int_equal(unlink(path) | mkfifo(path, 0600), 0);
    assert_refused(t, &key, "not a regular file");
    assert_int_equal(make(t, &key, NULL), WEIR_OK);
    assert_opens(t, &key);
    assert_int_equal(unlink(path) | mkdir(path, 0700), 0);
    assert_refused(t, &key, "not a regular file");
    assert_int_equal(make(t, &key, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "cannot rename"));
    assert_int_equal(count(t, ".making", NULL), 0);
    mem_free(path);
}

static void says_why_a_folder_cannot_be_made(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    const struct prepared_key key = key_of(1);
    char *cache = file_join(t->base, "cache");
    assert_int_equal(file_write_atomic(cache, "x", 1, NULL), WEIR_OK);
    assert_int_equal(make(t, &key, &err), WEIR_LOAD_FAILED);
    assert_int_equal(err.os_errno, ENOTDIR);
    assert_non_null(strstr(err.text, t->folder));
    assert_int_equal(t->fills, 0);
    mem_free(cache);
}

/* One that may only be read is used, and nothing can be added to it. */
static void a_folder_may_be_read_only(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    const struct prepared_key key = key_of(1), other = key_of(2);
    assert_int_equal(make(t, &key, NULL), WEIR_OK);
    assert_int_equal(chmod(t->folder, 0500), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0); /* the superuser may write everywhere */
    const bool may_look = access(t->folder, X_OK) == 0;
    assert_int_equal(make(t, &other, &err), WEIR_LOAD_FAILED);
    assert_int_equal(err.os_errno, EACCES);
    if (may_look && geteuid() != 65534)
        assert_opens(t, &key);
    if (geteuid() == 65534)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(t->folder, 0700), 0);
}

static void a_failed_fill_leaves_nothing(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    const struct prepared_key key = key_of(1);
    const struct prepared_maker maker = { .fill = fail_to_fill };
    assert_int_equal(prepared_make(t->folder, &key, 0, &maker, &err), WEIR_LOAD_FAILED);
    assert_string_equal(err.text, "no such tensor");
    assert_int_equal(count(t, "", NULL), 0);
}

static void names_both_numbers_when_room_is_short(void **state)
{
    struct fixture *t = *state;
    struct weir_error err;
    struct prepared_key key = key_of(1);
    key.block_bytes = UINT64_C(1) << 60;
    assert_int_equal(make(t, &key, &err), WEIR_LOAD_FAILED);
    assert_int_equal(err.os_errno, ENOSPC);
    assert_int_equal(err.value, (1ll << 60) + PREPARED_HEADER_BYTES);
    assert_true(err.limit > 0 && err.limit < err.value);
    assert_non_null(strstr(err.text, "GiB free"));
    assert_int_equal(count(t, "", NULL), 0);
    key.block_bytes = UINT64_MAX;
    assert_int_equal(make(t, &key, &err), WEIR_LOAD_FAILED);
    assert_non_null(strstr(err.text, "more than a file holds"));
}

/* --- the bound of the folder ------------------------------------------------------------------ */

static void set_age(const struct fixture *t, const struct prepared_key *key, int64_t seconds)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%02x%02x", t->folder, key->digest[0], key->digest[0]);
    DIR *dir = opendir(t->folder);
    for (const struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
        if (strncmp(d->d_name, path + strlen(t->folder) + 1, 4) == 0) {
            const struct timespec times[2] = { { .tv_sec = clock_wall_ms() / 1000 - seconds },
                                               { .tv_sec = clock_wall_ms() / 1000 - seconds } };
            assert_int_equal(utimensat(dirfd(dir), d->d_name, times, 0), 0);
        }
    }
    closedir(dir);
}

static void the_least_recently_opened_leave(void **state)
{
    struct fixture *t = *state;
    struct prepared in_use;
    const struct prepared_key a = key_of(1), b = key_of(2), c = key_of(3), d = key_of(4);
    const uint64_t three = UINT64_C(3) * (PREPARED_HEADER_BYTES + 4 * 4096);
    assert_int_equal(make(t, &a, NULL) | make(t, &b, NULL) | make(t, &c, NULL), WEIR_OK);
    set_age(t, &a, 300);
    set_age(t, &b, 200);
    set_age(t, &c, 100);
    assert_opens(t, &a); /* now the most recently used */
    assert_int_equal(make_bound(t, &d, three, NULL), WEIR_OK);
    assert_int_equal(count(t, ".packed", NULL), 3);
    assert_refused(t, &b, "there is no");
    assert_opens(t, &a);
    assert_opens(t, &c);
    assert_opens(t, &d);
    /* What is used stays, however old it is. */
    assert_int_equal(prepared_open(t->folder, &c, &in_use, NULL), WEIR_OK);
    set_age(t, &c, 1000);
    assert_int_equal(make_bound(t, &b, 1, NULL), WEIR_OK);
    assert_int_equal(count(t, ".packed", NULL), 2);
    assert_opens(t, &b);
    assert_opens(t, &c);
    prepared_close(&in_use);
}

/* --- several processes ------------------------------------------------------------------------ */

static pid_t run(void (*act)(struct fixture *t), struct fixture *t)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        act(t);
        _exit(0);
    }
    return child;
}

static int status_of(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

/* Fills slowly, and stands still for ever in the second half. */
static enum weir_code fill_half(void *context, void *block, struct weir_error *err)
{
    (void)context;
    (void)err;
    memset(block, 'h', BLOCK_BYTES / 2);
    raise(SIGSTOP);
    return WEIR_OK;
}

static void make_half(struct fixture *t)
{
    const struct prepared_key key = key_of(1);
    (void)prepared_make(t->folder, &key, 0, &(struct prepared_maker){ .fill = fill_half }, NULL);
}

static void what_a_killed_maker_left_is_nothing(void **state)
{
    struct fixture *t = *state;
    int status;
    const struct prepared_key key = key_of(1), other = key_of(2);
    for (int round = 0; round < 2; round++) {
        const pid_t child = run(make_half, t);
        CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        assert_int_equal(count(t, ".making", NULL), 1);
        assert_refused(t, &key, "there is no");
        /* Another's clean-up leaves a living maker alone … */
        assert_int_equal(make(t, &other, NULL), WEIR_OK);
        assert_int_equal(count(t, ".making", NULL), 1);
        CHECK(kill(child, SIGKILL) == 0 && WIFSIGNALED(status_of(child)));
        assert_int_equal(count(t, ".making", NULL), 1);
        if (round == 0) {
            /* … and removes what a dead one left; … */
            const struct prepared_key third = key_of(3);
            assert_int_equal(make(t, &third, NULL), WEIR_OK);
            assert_int_equal(count(t, ".making", NULL), 0);
        } else {
            /* … the next maker of the file begins anew. */
            assert_int_equal(make(t, &key, NULL), WEIR_OK);
            assert_opens(t, &key);
            assert_int_equal(count(t, ".making", NULL), 0);
        }
    }
}

static enum weir_code fill_and_count(void *context, void *block, struct weir_error *err)
{
    const struct fixture *t = context;
    char *log = file_join(t->base, "fills");
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)err;
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
    mem_free(log);
    clock_sleep_ms(50); /* so that the others come while it is made */
    memset(block, 'w', BLOCK_BYTES);
    return WEIR_OK;
}

static void make_and_open(struct fixture *t)
{
    struct prepared p;
    const struct prepared_key key = key_of(1);
    const struct prepared_maker maker = { .fill = fill_and_count, .context = t };
    CHECK(prepared_make(t->folder, &key, 0, &maker, NULL) == WEIR_OK);
    CHECK(prepared_open(t->folder, &key, &p, NULL) == WEIR_OK);
    prepared_close(&p);
}

static void makers_at_once_make_one(void **state)
{
    struct fixture *t = *state;
    struct stat fills;
    pid_t children[8];
    for (size_t i = 0; i < ARRAY_COUNT(children); i++)
        children[i] = run(make_and_open, t);
    for (size_t i = 0; i < ARRAY_COUNT(children); i++)
        assert_int_equal(status_of(children[i]), 0);
    char *log = file_join(t->base, "fills");
    assert_int_equal(stat(log, &fills), 0);
    assert_int_equal(fills.st_size, 1);
    assert_int_equal(unlink(log), 0);
    mem_free(log);
    mem_free(only_file(t));
}

struct waiter {
    pid_t maker;
    const char *folder;
    struct prepared in_use;
    int ticks;
};

/* The maker ends and the file is mapped, all between two looks of the one who waits. */
static void let_it_be_made_and_used(void *context)
{
    struct waiter *w = context;
    const struct prepared_key key = key_of(1);
    CHECK(w->ticks < 10);
    if (w->ticks++ > 0)
        return;
    CHECK(kill(w->maker, SIGCONT) == 0 && status_of(w->maker) == 0);
    CHECK(prepared_open(w->folder, &key, &w->in_use, NULL) == WEIR_OK);
}

/* What a maker waited for may be in use, and locked, before its lock could be had. */
static void who_waits_does_not_wait_for_users(void **state)
{
    struct fixture *t = *state;
    int status;
    const struct prepared_key key = key_of(1);
    struct waiter w = { .maker = run(make_half, t), .folder = t->folder };
    const struct prepared_maker maker = { .fill = fail_to_fill,
                                          .tick = let_it_be_made_and_used,
                                          .context = &w };
    CHECK(waitpid(w.maker, &status, WUNTRACED) == w.maker && WIFSTOPPED(status));
    assert_int_equal(prepared_make(t->folder, &key, 0, &maker, NULL), WEIR_OK);
    assert_int_equal(w.ticks, 1);
    assert_int_equal(count(t, ".making", NULL), 0);
    prepared_close(&w.in_use);
}

/* The worker that maps keeps its block, whatever becomes of the name. */
static void a_map_outlives_its_name(void **state)
{
    struct fixture *t = *state;
    struct prepared p;
    const struct prepared_key key = key_of(1);
    assert_int_equal(make(t, &key, NULL), WEIR_OK);
    assert_int_equal(prepared_open(t->folder, &key, &p, NULL), WEIR_OK);
    char *path = only_file(t);
    assert_int_equal(unlink(path), 0);
    mem_free(path);
    assert_int_equal(((const uint8_t *)p.block)[BLOCK_BYTES - 1], 'w');
    prepared_close(&p);
    assert_refused(t, &key, "there is no");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_made_once_and_opened),          TEST(every_part_of_the_key_counts),
        TEST(rebuilds_what_is_spoilt),          TEST(refuses_what_is_no_file),
        TEST(says_why_a_folder_cannot_be_made), TEST(a_folder_may_be_read_only),
        TEST(a_failed_fill_leaves_nothing),     TEST(names_both_numbers_when_room_is_short),
        TEST(the_least_recently_opened_leave),  TEST(what_a_killed_maker_left_is_nothing),
        TEST(makers_at_once_make_one),          TEST(who_waits_does_not_wait_for_users),
        TEST(a_map_outlives_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
