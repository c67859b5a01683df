/* api_key_file.h — the file of --api-key-file: what stands in it, and who can read it. */
#ifndef CMD_API_KEY_FILE_H
#define CMD_API_KEY_FILE_H

#include "base/error.h"
#include "base/log.h"
#include "server/api_keys.h"

/* WEIR_INVALID names the file, and the line where one is wrong. */
enum weir_code api_key_file_read(const char *path, struct api_keys **out, struct weir_error *err);

/* Logs a warning where other users of the machine can read the file, or change it. */
void api_key_file_warn(const char *path, const struct log *log);

#endif
