/* One .safetensors file. What opens must be what the header of safetensors.h promises: tensors that
 * cover the data without gap or overlap, each as long as its type and shape say, each found by its
 * name, each readable to its last byte (F184). */
#include "fuzz/fuzz.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/safetensors.h"

#include <stdio.h>
#include <string.h>

static const char name[] = "fuzzed.safetensors";

static void check_tensor(const struct safetensors *s, const struct safetensors_entry *e)
{
    const uint8_t *data = e->tensor.data;
    const uint64_t bytes = e->end - e->begin;
    uint64_t stated;
    CHECK(e->tensor.rank <= TENSOR_RANK_MAX && e->tensor.dtype < DTYPE_COUNT);
    CHECK(tensor_bytes(&e->tensor, &stated) && stated == bytes);
    CHECK(data == s->map.data + s->header_bytes + e->begin);
    CHECK(data + bytes <= s->map.data + s->map.size);
    CHECK(safetensors_find(s, e->name) == &e->tensor);
    volatile uint8_t sum = 0;
    if (bytes > 0)
        sum = (uint8_t)(data[0] + data[bytes - 1]);
    (void)sum;
    struct shape_text text;
    CHECK(strlen(tensor_shape(e->tensor.dims, e->tensor.rank, &text)) < sizeof(text));
}

static void check_file(const struct safetensors *s, struct str input)
{
    const struct str header = safetensors_header(s);
    uint64_t covered = 0;
    CHECK(s->map.size == input.len && header.len == s->header_bytes);
    CHECK(header.len <= input.len && memcmp(header.data, input.data, header.len) == 0);
    for (size_t i = 0; i < s->count; i++) {
        CHECK(s->entries[i].begin == covered);
        covered = s->entries[i].end;
        check_tensor(s, &s->entries[i]);
    }
    CHECK(covered == s->map.size - s->header_bytes);
    CHECK(safetensors_find(s, "__metadata__") == NULL);
    CHECK(safetensors_find(s, "") == NULL || s->count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = { (const char *)data, size };
    struct safetensors s;
    struct weir_error err;
    char path[256];
    memset(&s, 0xee, sizeof(s));
    memset(&err, 0, sizeof(err));
    fuzz_folder_write(name, input);
    snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
    const enum weir_code code = safetensors_open(path, &s, &err);
    if (code != WEIR_OK) {
        CHECK(code == WEIR_LOAD_FAILED);
        fuzz_check_error(&err, code, name);
        return 0;
    }
    check_file(&s, input);
    safetensors_close(&s);
    return 0;
}
