#include "cmd/machine_limits.h"

#include "base/buffer.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/str.h"
#include "base/worker_path.h"
#include "cmd/worker_run.h"

#include <jansson.h>

#define PROGRAM    "weir-worker"
#define OUTPUT_MAX (64 * KiB)

static enum weir_code read_limits(struct str said, struct machine_limits *out,
                                  struct weir_error *err)
{
    struct str line = STR(""), head, rest = said;
    while (rest.len > 0) {
        str_cut(rest, '\n', &head, &rest);
        if (head.len > 0)
            line = head;
    }
    json_t *const o = json_loadb(line.data, line.len, 0, NULL);
    const char *const cpu = json_string_value(json_object_get(o, "cpu"));
    const json_int_t threads = json_integer_value(json_object_get(o, "threads"));
    struct machine_limits found = {
        .threads = threads > 0 ? (uint64_t)threads : 0,
        .f32_gflops = json_number_value(json_object_get(o, "f32_gflops")),
        .bf16_gflops = json_number_value(json_object_get(o, "bf16_gflops")),
        .read_gbs = json_number_value(json_object_get(o, "read_gbs")),
    };
    str_print(found.cpu, sizeof(found.cpu), "%s", cpu != NULL ? cpu : "");
    json_decref(o);
    if (found.threads == 0 || found.cpu[0] == '\0' || !(found.f32_gflops > 0))
        return weir_fail(err, WEIR_INTERNAL, "'" PROGRAM " --limits' said '%.*s'",
                         (int)(line.len < 100 ? line.len : 100), line.data);
    *out = found;
    return WEIR_OK;
}

enum weir_code machine_limits_measure(uint32_t threads, struct machine_limits *out,
                                      struct weir_error *err)
{
    char number[16];
    struct buffer said;
    char *const path = worker_path(NULL, PROGRAM, err);
    if (path == NULL)
        return err->code;
    str_print(number, sizeof(number), "%u", (unsigned)threads);
    buffer_init(&said, OUTPUT_MAX);
    enum weir_code code = worker_run(path, "--limits", threads > 0 ? number : NULL, &said, err);
    if (code == WEIR_OK)
        code = read_limits(buffer_view(&said), out, err);
    buffer_finish(&said);
    mem_free(path);
    return code;
}
