/* manual_man.c — weir.1 in groff's man macros. What is no ASCII is written by its number, so that
 * no locale matters. */
#include "cmd/manual.h"

#include "base/str.h"
#include "cmd/serve_models.h"
#include "cmd/variables.h"
#include "cmd/verb.h"
#include "server/server.h"

#include "weir/limits.h"
#include "weir/weir.h"

#include <string.h>

static void write_character(struct buffer *out, const char **at)
{
    const unsigned char c = (unsigned char)**at;
    size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t code = more == 3 ? c & 7u : more == 2 ? c & 15u : more == 1 ? c & 31u : c;
    for (; more > 0 && (*at)[1] != '\0'; more--)
        code = code << 6 | ((unsigned char)*++*at & 63u);
    if (code >= 0x80)
        buffer_printf(out, "\\[u%04X]", code);
    else if (c == '\\')
        buffer_text(out, "\\e");
    else if (c == '-')
        buffer_text(out, "\\-");
    else if (c == '"')
        buffer_text(out, "\\(dq");
    else
        buffer_u8(out, c);
}

/* In running text; what would begin a line as a macro is kept from it. */
static void write_text(struct buffer *out, const char *text)
{
    bool begins = true;
    for (; *text != '\0'; text++) {
        if (begins && (*text == '.' || *text == '\''))
            buffer_text(out, "\\&");
        begins = *text == '\n';
        write_character(out, &text);
    }
}

/* Paragraphs are parted by an empty line. */
static void write_paragraphs(struct buffer *out, const char *text)
{
    struct str rest = str_of(text), line;
    char copy[256];
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        str_print(copy, sizeof(copy), "%.*s", STR_ARG(line));
        if (line.len == 0)
            buffer_text(out, ".PP");
        else
            write_text(out, copy);
        buffer_u8(out, '\n');
    }
}

static void begin_item(struct buffer *out, const char *prefix, const char *name, const char *value)
{
    buffer_text(out, ".TP\n\\fB");
    write_text(out, prefix);
    write_text(out, name);
    buffer_text(out, "\\fR");
    if (value != NULL && value[0] != '\0') {
        buffer_text(out, " \\fI");
        write_text(out, value);
        buffer_text(out, "\\fR");
    }
    buffer_u8(out, '\n');
}

static void write_sentence(struct buffer *out, const char *label, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    buffer_printf(out, "%s ", label);
    write_text(out, text);
    buffer_text(out, ".\n");
}

static void write_options(struct buffer *out, const struct option *table, size_t count,
                          const char *prefix)
{
    char text[96];
    for (size_t i = 0; i < count; i++) {
        const struct option *const row = &table[i];
        begin_item(out, prefix, row->name, row->type == OPTION_FLAG ? NULL : row->argument);
        write_text(out, row->help);
        buffer_u8(out, '\n');
        if (row->letter != '\0')
            buffer_printf(out, "Or \\fB\\-%c\\fR.\n", row->letter);
        options_range(row, text, sizeof(text));
        write_sentence(out, "Range:", text);
        write_sentence(out, "One of:", row->choices);
        write_sentence(out, "Default:", options_fallback(row));
        if (row->type == OPTION_LIST)
            buffer_text(out, "May be given more than once.\n");
        options_variable(row, text, sizeof(text));
        write_sentence(out, "Environment:", text);
    }
}

static void write_verb(struct buffer *out, const struct verb *verb)
{
    buffer_printf(out, ".SS weir %s", verb->name);
    if (verb->options_count > 0)
        buffer_text(out, " [options]");
    buffer_u8(out, ' ');
    write_text(out, verb->arguments);
    buffer_u8(out, '\n');
    write_paragraphs(out, verb->details);
    write_options(out, verb->options, verb->options_count, "--");
}

static void write_limits(struct buffer *out)
{
    buffer_text(out,
                ".SH LIMITS\nSet by \\fB\\-\\-limit\\fR, in [limits] of the configuration file, "
                "or by WEIR_LIMIT_NAME.\n");
#define ROW(name, value, says)                                                                     \
    begin_item(out, "", #name, NULL);                                                              \
    write_text(out, says);                                                                         \
    buffer_printf(out, "; %lld unless told otherwise.\n", (long long)(value));
#define POOL_ROW(name, value, least, says) ROW(name, value, says)
    SERVER_LIMITS(ROW)
    WEIR_LIMITS(POOL_ROW)
#undef ROW
#undef POOL_ROW
}

static void write_environment(struct buffer *out)
{
    buffer_text(out, ".SH ENVIRONMENT\nThe variables of options stand with them.\n");
#define X(name, says)                                                                              \
    begin_item(out, "", name, NULL);                                                               \
    write_text(out, says);                                                                         \
    buffer_u8(out, '\n');
    VARIABLES(X)
#undef X
}

static void write_end(struct buffer *out)
{
    buffer_text(out, ".SH FILES\n");
    begin_item(out, "", "~/.config/weir/weir.conf, /etc/weir/weir.conf", NULL);
    buffer_text(out,
                "The configuration of weir serve: the first of them that is there.\n"
                ".SH CONFIGURATION\nBefore the first section, or in [serve], stand the options "
                "of weir serve as name = value; in [limits] limits; in [model NAME] what is "
                "said of one model:\n");
    write_options(out, serve_models_keys, serve_models_keys_count, "");
    write_limits(out);
    write_environment(out);
    buffer_text(out,
                ".SH EXIT STATUS\n"
                "0 success, 1 failure, 2 wrong usage, 128 and the number of a signal when that "
                "ended it.\n");
}

void manual_man(struct buffer *out)
{
    buffer_text(out, ".\\\" Written by `weir help --format man`.\n");
    buffer_printf(out, ".TH WEIR 1 \"\" \"weir %s\" \"User Commands\"\n.nh\n.ad l\n",
                  weir_version());
    buffer_text(out,
                ".SH NAME\nweir \\- several models from one pool held at the memory level of the "
                "machine\n.SH SYNOPSIS\n.B weir\n.I VERB\n[options] [arguments]\n"
                ".SH DESCRIPTION\nOptions are written \\fB\\-\\-name\\fR \\fIvalue\\fR or "
                "\\fB\\-\\-name=\\fR\\fIvalue\\fR; \\fB\\-\\-\\fR ends them.\n.SH VERBS\n");
    for (size_t i = 0; i < verbs_count; i++)
        write_verb(out, verbs[i]);
    write_end(out);
}
