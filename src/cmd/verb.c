#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern char **environ; /* POSIX leaves the declaration to the program */

const struct verb *const verbs[] = {
    &verb_serve, &verb_embed,  &verb_tokenize, &verb_ls,      &verb_show, &verb_ps,
    &verb_top,   &verb_plan,   &verb_load,     &verb_unload,  &verb_pin,  &verb_unpin,
    &verb_bench, &verb_doctor, &verb_help,     &verb_version,
};
const size_t verbs_count = ARRAY_COUNT(verbs);

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < verbs_count; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
}

const char *verb_nearest(const char *name)
{
    const char *names[ARRAY_COUNT(verbs)];
    for (size_t i = 0; i < verbs_count; i++)
        names[i] = verbs[i]->name;
    return options_nearest(name, names, verbs_count);
}

void verb_print_help(const struct verb *verb, struct buffer *out)
{
    buffer_printf(out, "weir %s%s%s%s\n\n%s\n", verb->name,
                  verb->options_count > 0 ? " [options]" : "",
                  verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->details);
    if (verb->options_count > 0) {
        buffer_text(out, "\nOptions, as `--name value` or `--name=value`:\n\n");
        options_help(verb->options, verb->options_count, out);
    }
}

bool verb_begin(const struct verb *verb, struct options *o, void *target, int argc, char **argv,
                int *status)
{
    const struct option_sources from = { .argc = argc, .argv = argv, .environment = environ };
    struct weir_error err;
    struct buffer help;
    if (options_read(o, verb->options, verb->options_count, target, &from, &err) != WEIR_OK) {
        *status = verb_misused(verb, "%s", err.text);
        options_finish(o);
        return false;
    }
    if (o->wants_help) {
        buffer_init(&help, MiB);
        verb_print_help(verb, &help);
        *status = verb_end(verb, &help);
        options_finish(o);
        return false;
    }
    return true;
}

int verb_misused(const struct verb *verb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "weir %s: ", verb->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nSee 'weir help %s'.\n", verb->name);
    va_end(args);
    return 2;
}

int verb_failed(const struct verb *verb, const struct weir_error *err)
{
    fprintf(stderr, "weir %s: %s", verb->name, err->text);
    if (err->retry_after_ms > 0)
        fprintf(stderr, " (try again in %lld s)", (long long)(err->retry_after_ms + 999) / 1000);
    fputc('\n', stderr);
    return 1;
}

enum weir_code verb_write(const struct buffer *out, struct weir_error *err)
{
    errno = 0;
    if ((out->len > 0 && fwrite(out->data, 1, out->len, stdout) != out->len) ||
        fflush(stdout) != 0) {
        const int why = errno;
        clearerr(stdout);
        return weir_fail_os(err, why == EPIPE ? WEIR_CANCELLED : WEIR_INTERNAL, why,
                            "stdout cannot be written");
    }
    return WEIR_OK;
}

int verb_end(const struct verb *verb, struct buffer *out)
{
    struct weir_error err;
    const enum weir_code code =
        out->failed ? weir_fail(&err, WEIR_NO_MEMORY, "no memory for the output, or over %zu MiB",
                                out->max / (size_t)MiB)
                    : verb_write(out, &err);
    buffer_finish(out);
    return verb_status(verb, code, &err);
}

int verb_status(const struct verb *verb, enum weir_code code, const struct weir_error *err)
{
    if (code == WEIR_OK)
        return 0;
    if (code == WEIR_CANCELLED)
        return err->value > 0 ? 128 + (int)err->value : 0;
    return verb_failed(verb, err);
}
