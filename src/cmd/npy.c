#include "cmd/npy.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header is written twice: as a place holder, and with the number of rows at the end. */
#define HEADER 128

static void fill_header(char header[HEADER], size_t rows, size_t dim)
{
    static const char magic[10] = { (char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - 10, 0 };
    char text[HEADER];
    str_print(text, sizeof(text), "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
              rows, dim);
    memset(header, ' ', HEADER);
    memcpy(header, magic, sizeof(magic));
    memcpy(header + sizeof(magic), text, strlen(text));
    header[HEADER - 1] = '\n';
}

static enum weir_code io_failed(const struct npy *n, struct weir_error *err)
{
    return weir_fail_os(err, WEIR_INTERNAL, errno, "%s cannot be written", n->path);
}

enum weir_code npy_begin(struct npy *n, const char *path, struct weir_error *err)
{
    char header[HEADER];
    const size_t room = strlen(path) + 32;
    *n = (struct npy){ .path = mem_copy_text(path, strlen(path)), .temporary = mem_new(room, 1) };
    str_print(n->temporary, room, "%s.%ld.part", path, (long)getpid());
    fill_header(header, 0, 0);
    n->file = fopen(n->temporary, "wbx");
    if (n->file == NULL || fwrite(header, 1, HEADER, n->file) != HEADER) {
        io_failed(n, err);
        npy_discard(n);
        return err->code;
    }
    return WEIR_OK;
}

static bool write_little_endian(FILE *file, const float *numbers, size_t count)
{
    uint8_t block[4096];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof(bits));
        for (size_t k = 0; k < 4; k++)
            block[used++] = (uint8_t)(bits >> 8 * k);
        if (used == sizeof(block) || i + 1 == count) {
            if (fwrite(block, 1, used, file) != used)
                return false;
            used = 0;
        }
    }
    return true;
}

enum weir_code npy_rows(struct npy *n, const float *rows, size_t count, size_t dim,
                        struct weir_error *err)
{
    CHECK(n->file != NULL);
    if (n->rows > 0 && dim != n->dim)
        return weir_fail(err, WEIR_INTERNAL, "a vector of %zu numbers after vectors of %zu", dim,
                         n->dim);
    if (!write_little_endian(n->file, rows, count * dim))
        return io_failed(n, err);
    n->dim = dim;
    n->rows += count;
    return WEIR_OK;
}

enum weir_code npy_end(struct npy *n, struct weir_error *err)
{
    char header[HEADER];
    fill_header(header, n->rows, n->dim);
    bool ok = fseek(n->file, 0, SEEK_SET) == 0 && fwrite(header, 1, HEADER, n->file) == HEADER &&
              fflush(n->file) == 0 && fsync(fileno(n->file)) == 0;
    FILE *const file = n->file;
    n->file = NULL;
    ok = (fclose(file) == 0) && ok;
    if (!ok || rename(n->temporary, n->path) != 0) {
        io_failed(n, err);
        unlink(n->temporary);
        npy_discard(n);
        return err->code;
    }
    npy_discard(n);
    return WEIR_OK;
}

void npy_discard(struct npy *n)
{
    if (n->file != NULL) {
        fclose(n->file);
        unlink(n->temporary);
    }
    mem_free(n->path);
    mem_free(n->temporary);
    *n = (struct npy){ 0 };
}

static char guarded[4096];

static void on_signal(int number)
{
    unlink(guarded);
    signal(number, SIG_DFL);
    raise(number);
}

void npy_guard(const struct npy *n)
{
    if (n->temporary == NULL || strlen(n->temporary) >= sizeof(guarded))
        return;
    memcpy(guarded, n->temporary, strlen(n->temporary) + 1);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}

void npy_unguard(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}
