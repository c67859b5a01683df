#include "cmd/backend.h"

#include "base/mem.h"
#include "client/api.h"
#include "cmd/model_ref.h"

#include <stdio.h>
#include <stdlib.h>

void embeddings_finish(struct embeddings *e)
{
    mem_free(e->vectors);
    mem_free(e->tokens);
    *e = (struct embeddings){ 0 };
}

enum weir_code backend_open(const char *model, const struct backend_choice *choice,
                            struct backend **out, struct weir_error *err)
{
    struct weir_error absent;
    bool answered = false;
    if (model_ref_is_path(model))
        return backend_local_open(model, &choice->pool, out, err);
    if (!model_ref_is_name(str_of(model)))
        return weir_fail(err, WEIR_INVALID,
                         "'%.250s' is no name of a model (" MODEL_REF_NAME_RULE ")", model);
    if (choice->local)
        return backend_local_open(model, &choice->pool, out, err);
    const enum weir_code code = backend_remote_open(model, out, &answered, &absent);
    if (code == WEIR_OK)
        return WEIR_OK;
    if (answered && code != WEIR_NO_SUCH_MODEL) {
        *err = absent;
        return code;
    }
    if (!answered && code != WEIR_UNAVAILABLE) { /* such as a WEIR_HOST that is no URL */
        *err = absent;
        return code;
    }
    const char *const host = getenv("WEIR_HOST");
    const char *const shown = host != NULL && host[0] != '\0' ? host : API_DEFAULT_HOST;
    if (answered)
        fprintf(stderr, "weir %s: %s, running it here\n", choice->verb, absent.text);
    if (backend_local_open(model, &choice->pool, out, err) == WEIR_OK)
        return WEIR_OK;
    return err->code == WEIR_NO_SUCH_MODEL && !answered
               ? weir_wrap(err, "no server answers at %s", shown)
               : err->code;
}

void backend_close(struct backend *b)
{
    if (b != NULL)
        b->ops->close(b);
}
