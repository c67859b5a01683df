#include "cmd/verb.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/size.h"
#include "cmd/manual.h"

#include "weir/weir.h"

enum help_form { HELP_TEXT, HELP_MAN, HELP_BASH, HELP_ZSH, HELP_MARKDOWN };

struct help_options {
    int form; /* enum help_form */
};

static const struct option help_options_table[] = {
    OPTION(.name = "format", .type = OPTION_CHOICE, .offset = offsetof(struct help_options, form),
           .argument = "FORM", .fallback = "text", .choices = "text|man|bash|zsh|markdown",
           .help = "Text, or all there is to say: a manual page, completion for a shell, the "
                   "reference."),
};

static void print_verbs(struct buffer *out)
{
    buffer_text(
        out,
        "weir VERB …: several models from one pool held at the memory level of the machine\n\n");
    for (size_t i = 0; i < verbs_count; i++)
        buffer_printf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    buffer_text(out, "\n`weir help VERB` says more about one.\n");
}

/* The paragraphs of the verbs that are named, or the list of all. */
static int print_text(const struct verb *verb, const struct options *o, struct buffer *out)
{
    if (o->rest_count == 0)
        print_verbs(out);
    for (size_t i = 0; i < o->rest_count; i++) {
        const struct verb *const asked = verb_find(o->rest[i]);
        const char *const near = verb_nearest(o->rest[i]);
        if (asked == NULL)
            return verb_misused(verb, "there is no verb '%s'%s%s%s", o->rest[i],
                                near != NULL ? ", perhaps '" : "", near != NULL ? near : "",
                                near != NULL ? "'?" : "");
        buffer_text(out, i > 0 ? "\n" : "");
        verb_print_help(asked, out);
    }
    return 0;
}

static int help_run(const struct verb *verb, int argc, char **argv)
{
    struct options o;
    struct help_options options = { 0 };
    struct weir_error err;
    struct buffer out;
    int status;
    if (!verb_begin(verb, &o, &options, argc, argv, &status))
        return status;
    status = 0;
    buffer_init(&out, MiB);
    if (options.form != HELP_TEXT && o.rest_count > 0) {
        status = verb_misused(verb, "'%s': that form is of all verbs", o.rest[0]);
    } else {
        switch ((enum help_form)options.form) {
        case HELP_TEXT: status = print_text(verb, &o, &out); break;
        case HELP_MAN: manual_man(&out); break;
        case HELP_BASH: manual_bash(&out); break;
        case HELP_ZSH: manual_zsh(&out); break;
        case HELP_MARKDOWN:
            if (manual_markdown(&out, &err) != WEIR_OK)
                status = verb_failed(verb, &err);
            break;
        }
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
    .details =
        "Lists the verbs, or describes those that are named with all their options. Completion in\n"
        "this shell: `source <(weir help --format bash)`.",
    .options = help_options_table,
    .options_count = ARRAY_COUNT(help_options_table),
    .run = help_run,
};

const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "the version of this program",
    .details = "Prints the version, as `weir --version` does.",
    .run = version_run,
};
