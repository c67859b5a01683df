/* ask.h — one question of a verb to the running server, and fields out of its answer.
 *
 * Fields that a server does not send (an older one, say) read as 0, false or what the caller wants
 * instead: what is shown must not depend on what is new. */
#ifndef CMD_ASK_H
#define CMD_ASK_H

#include "base/error.h"
#include "base/size.h"
#include "base/str.h"
#include "client/api.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ASK_MS  10000
#define WORK_MS 700000 /* above the server's own deadline of 600 s, so that its words arrive */

/* As api_call; an error says at which address no server answers. */
enum weir_code ask_server(const struct api *api, const char *path, struct str body,
                          int64_t total_ms, json_t **out, struct weir_error *err);

/* The same for /weir/v1/status and /weir/v1/WHAT?model=NAME. *answered (NULL: not wanted) tells
 * whether a server is there, whatever it said. */
enum weir_code ask_status(const struct api *api, int64_t total_ms, bool *answered, json_t **out,
                          struct weir_error *err);
enum weir_code ask_model(const struct api *api, const char *what, const char *model, bool *answered,
                         json_t **out, struct weir_error *err);

const char *ask_text(const json_t *object, const char *key, const char *otherwise);
int64_t ask_number(const json_t *object, const char *key); /* of at least 0 */
bool ask_flag(const json_t *object, const char *key);
const char *ask_size(const json_t *object, const char *key, struct size_text *out);

/* Appends the object as one line of JSON. */
void ask_dump(const json_t *object, struct buffer *out);

#endif
