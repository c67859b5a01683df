#include "cmd/api_key_file.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"

#include <sys/stat.h>

#define FILE_MAX ((size_t)MiB)

enum weir_code api_key_file_read(const char *path, struct api_keys **out, struct weir_error *err)
{
    struct buffer text;
    buffer_init(&text, FILE_MAX);
    enum weir_code code = file_read(path, &text, err);
    if (code == WEIR_OK)
        code = api_keys_parse(buffer_view(&text), path, out, err);
    buffer_finish(&text);
    return code;
}

/* A group that may read is how a service gets a file that belongs to root. */
void api_key_file_warn(const char *path, const struct log *log)
{
    struct stat file;
    if (stat(path, &file) == 0 && (file.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0)
        log_write(log, LOG_WARN, "serve",
                  "%s: others can read or change the API keys (mode %04o, should be 0600 or 0640)",
                  path, (unsigned)file.st_mode & 07777u);
}
