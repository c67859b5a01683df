#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/size.h"

#include "weir/weir.h"

static void print_verbs(struct buffer *out)
{
    buffer_text(
        out,
        "weir VERB …: several models from one pool held at the memory level of the machine\n\n");
    for (size_t i = 0; i < verbs_count; i++)
        buffer_printf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    buffer_text(out, "\n`weir help VERB` says more about one.\n");
}

static int help_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct buffer out;
    int status;
    if (!verb_begin(verb, &o, NULL, argc, argv, &status))
        return status;
    status = 0;
    buffer_init(&out, MiB);
    if (o.rest_count == 0)
        print_verbs(&out);
    for (size_t i = 0; i < o.rest_count && status == 0; i++) {
        const struct verb *const asked = verb_find(o.rest[i]);
        if (asked == NULL)
            status = verb_misused(verb, "there is no verb '%s'", o.rest[i]);
        else
            verb_print_help(asked, &out);
    }
    if (status == 0)
        status = verb_end(verb, &out);
    buffer_finish(&out);
    options_finish(&o);
    return status;
}

static int version_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct buffer out;
    int status;
    if (!verb_begin(verb, &o, NULL, argc, argv, &status))
        return status;
    buffer_init(&out, MiB);
    buffer_printf(&out, "weir %s\n", weir_version());
    status = o.rest_count > 0 ? verb_misused(verb, "'%s' is one argument too many", o.rest[0])
                              : verb_end(verb, &out);
    buffer_finish(&out);
    options_finish(&o);
    return status;
}

const struct verb verb_help = {
    .name = "help",
    .arguments = "[VERB…]",
    .summary = "what the verbs do, or all about one of them",
    .details = "Lists the verbs, or describes those that are named with all their options.",
    .run = help_run,
};

const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "the version of this program",
    .details = "Prints the version, as `weir --version` does.",
    .run = version_run,
};
