#include "worker/fake/memory.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096

static enum weir_code map_file(FILE *file, struct memory *m, size_t bytes, struct weir_error *err)
{
    if (ftruncate(fileno(file), (off_t)bytes) != 0)
        return weir_fail_os(err, WEIR_LOAD_FAILED, errno, "a file of %zu bytes for weights", bytes);
    void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fileno(file), 0);
    if (data == MAP_FAILED)
        return weir_fail_os(err, WEIR_LOAD_FAILED, errno, "mapping %zu bytes of weights", bytes);
    m->weights = data;
    m->weights_bytes = bytes;
    return WEIR_OK;
}

enum weir_code memory_map_weights(struct memory *m, uint64_t bytes, struct weir_error *err)
{
    if (bytes == 0)
        return WEIR_OK;
    if (bytes > PTRDIFF_MAX)
        return weir_fail(err, WEIR_LOAD_FAILED, "weights of %llu bytes cannot be mapped",
                         (unsigned long long)bytes);
    FILE *file = tmpfile();
    if (!file)
        return weir_fail_os(err, WEIR_LOAD_FAILED, errno, "a temporary file for weights");
    const enum weir_code code = map_file(file, m, (size_t)bytes, err);
    fclose(file);
    const volatile unsigned char *page = m->weights;
    for (size_t at = 0; code == WEIR_OK && at < m->weights_bytes; at += PAGE_BYTES)
        (void)page[at];
    return code;
}

enum weir_code memory_use(struct memory *m, uint64_t bytes, struct weir_error *err)
{
    if (bytes == 0)
        return WEIR_OK;
    m->anonymous = bytes <= PTRDIFF_MAX ? mem_try((size_t)bytes, 1) : NULL;
    if (!m->anonymous)
        return weir_fail(err, WEIR_LOAD_FAILED, "no memory for %llu bytes of context",
                         (unsigned long long)bytes);
    memset(m->anonymous, 0x5a, (size_t)bytes);
    return WEIR_OK;
}

void memory_release(struct memory *m)
{
    if (m->weights)
        munmap(m->weights, m->weights_bytes);
    mem_free(m->anonymous);
    *m = (struct memory){ 0 };
}
