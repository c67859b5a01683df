/* model_verbs.c — `weir load`, `unload`, `pin` and `unpin`: one POST a model. */
#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/ask.h"
#include "cmd/bodies.h"

#include <jansson.h>

/* POST /weir/v1/VERB, in the order given; the first that fails ends it, named. */
static enum weir_code post_all(const struct verb *verb, const struct api *api,
                               const struct options *o, struct weir_error *err)
{
    char path[64];
    enum weir_code code = WEIR_OK;
    str_print(path, sizeof(path), "/weir/v1/%s", verb->name);
    for (size_t i = 0; i < o->rest_count && code == WEIR_OK; i++) {
        struct buffer body;
        json_t *answer = NULL;
        buffer_init(&body, MiB);
        body_model(&body, o->rest[i]);
        code = body.failed ? weir_fail(err, WEIR_INVALID, "the name of a model is too long")
                           : ask_server(api, path, buffer_view(&body), WORK_MS, &answer, err);
        if (code != WEIR_OK && o->rest_count > 1)
            weir_wrap(err, "%s", o->rest[i]);
        buffer_finish(&body);
        json_decref(answer);
    }
    return code;
}

static int model_verb_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct weir_error err;
    struct api api;
    int status;
    if (!verb_begin(verb, &o, NULL, argc, argv, &status))
        return status;
    if (o.rest_count == 0)
        status = verb_misused(verb, "a MODEL is missing");
    else if (api_init(&api, &err) != WEIR_OK)
        status = verb_misused(verb, "%s", err.text);
    else
        status = verb_status(verb, post_all(verb, &api, &o, &err), &err);
    options_finish(&o);
    return status;
}

#define WHERE                                                                                      \
    "\nMODEL is a name that the server at $WEIR_HOST (default http://127.0.0.1:9347, with\n"       \
    "$WEIR_API_KEY as its key) knows. Prints nothing when all went well."

const struct verb verb_load = {
    .name = "load",
    .arguments = "MODEL…",
    .summary = "load models, and wait until they are ready",
    .details = "Starts a worker of each MODEL that has none, and ends when it is ready." WHERE,
    .run = model_verb_run,
};

const struct verb verb_unload = {
    .name = "unload",
    .arguments = "MODEL…",
    .summary = "unload models, and wait until they are gone",
    .details = "Lets the workers of each MODEL finish what they run and leave. The model stays\n"
               "registered: the next request loads it again." WHERE,
    .run = model_verb_run,
};

const struct verb verb_pin = {
    .name = "pin",
    .arguments = "MODEL…",
    .summary = "keep models loaded, whoever else needs the memory",
    .details = "The last worker of a pinned model leaves neither when it is idle nor to make room\n"
               "for another model." WHERE,
    .run = model_verb_run,
};

const struct verb verb_unpin = {
    .name = "unpin",
    .arguments = "MODEL…",
    .summary = "let pinned models leave again",
    .details = "Takes back what `weir pin`, or `pin` in the configuration, said." WHERE,
    .run = model_verb_run,
};
