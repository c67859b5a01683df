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

char *backend_name_of_path(const char *path)
{
    struct str rest = str_of(path), part, name = STR("model");
    while (rest.len > 0) {
        str_cut(rest, '/', &part, &rest);
        if (part.len > 0)
            name = part;
    }
    return model_ref_is_name(name) ? mem_copy_text(name.data, name.len) : mem_copy_text("model", 5);
}

static enum weir_code open_path(const char *text, const struct backend_choice *choice,
                                struct backend **out, struct weir_error *err)
{
    char *const path = model_ref_expand(text);
    char *const name = backend_name_of_path(path);
    const enum weir_code code = backend_local_open(name, path, &choice->pool, out, err);
    mem_free(name);
    mem_free(path);
    return code;
}

static enum weir_code open_name(const char *name, const struct backend_choice *choice,
                                struct backend **out, struct weir_error *err)
{
    char *path;
    enum weir_code code = model_ref_find(name, &path, err);
    if (code != WEIR_OK)
        return code;
    code = backend_local_open(name, path, &choice->pool, out, err);
    mem_free(path);
    return code;
}

enum weir_code backend_open(const char *model, const struct backend_choice *choice,
                            struct backend **out, struct weir_error *err)
{
    struct weir_error absent;
    bool answered = false;
    if (model_ref_is_path(model))
        return open_path(model, choice, out, err);
    if (!model_ref_is_name(str_of(model)))
        return weir_fail(err, WEIR_INVALID,
                         "'%.250s' is no name of a model (" MODEL_REF_NAME_RULE ")", model);
    if (choice->local)
        return open_name(model, choice, out, err);
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
    if (open_name(model, choice, out, err) == WEIR_OK)
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
