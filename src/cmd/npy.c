#include "cmd/npy.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"

#include <stdint.h>
#include <string.h>

_Static_assert(OUTPUT_HEAD_ROOM == 128, "the length of the header stands in it");

static void fill_header(struct npy *n)
{
    static const char magic[10] = {
        (char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, OUTPUT_HEAD_ROOM - 10, 0
    };
    char text[OUTPUT_HEAD_ROOM];
    uint8_t *const header = n->file.head;
    str_print(text, sizeof(text), "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
              n->rows, n->dim);
    memset(header, ' ', OUTPUT_HEAD_ROOM);
    memcpy(header, magic, sizeof(magic));
    memcpy(header + sizeof(magic), text, strlen(text));
    header[OUTPUT_HEAD_ROOM - 1] = '\n';
}

enum weir_code npy_begin(struct npy *n, const char *path, struct weir_error *err)
{
    *n = (struct npy){ 0 };
    const enum weir_code code = output_file_begin(&n->file, path, OUTPUT_HEAD_ROOM, err);
    if (code == WEIR_OK)
        fill_header(n);
    return code;
}

static void fill_little_endian(uint8_t *out, const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof(bits));
        for (size_t k = 0; k < 4; k++)
            out[4 * i + k] = (uint8_t)(bits >> 8 * k);
    }
}

enum weir_code npy_rows(struct npy *n, const float *rows, size_t count, size_t dim,
                        struct weir_error *err)
{
    uint64_t numbers;
    if (n->rows > 0 && dim != n->dim)
        return weir_fail(err, WEIR_INTERNAL, "a vector of %zu numbers after vectors of %zu", dim,
                         n->dim);
    uint8_t *const bytes = size_mul(count, dim, &numbers) && numbers <= SIZE_MAX / 4
                               ? mem_try((size_t)numbers + 1, 4)
                               : NULL;
    if (bytes == NULL)
        return weir_fail(err, WEIR_NO_MEMORY, "no memory for %zu vectors of %zu numbers", count,
                         dim);
    fill_little_endian(bytes, rows, (size_t)numbers);
    const enum weir_code code = output_file_write(&n->file, bytes, (size_t)numbers * 4, err);
    mem_free(bytes);
    if (code != WEIR_OK)
        return code;
    n->dim = dim;
    n->rows += count;
    fill_header(n);
    return WEIR_OK;
}
