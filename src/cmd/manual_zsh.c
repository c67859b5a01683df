/* manual_zsh.c — completion for zsh, by its _arguments. */
#include "cmd/manual.h"

#include "base/str.h"
#include "cmd/verb.h"

#include <string.h>

/* Within single quotes, and within a specification of _arguments or _describe. */
static void write_escaped(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buffer_text(out, "'\\''");
        else if (strchr(":[]\\", *text) != NULL)
            buffer_printf(out, "\\%c", *text);
        else
            buffer_u8(out, (uint8_t)*text);
    }
}

/* "(text json)", what a word is completed to. */
static void write_action(struct buffer *out, const struct option *row)
{
    const char *const words = row->choices != NULL ? row->choices : row->words;
    const bool goes_on = row->choices == NULL; /* "a=": no blank behind it */
    const char *const argument = row->argument != NULL ? row->argument : "";
    if (words != NULL) {
        buffer_text(out, goes_on ? "{compadd -S \"\" " : "(");
        for (const char *at = words; *at != '\0'; at++)
            buffer_u8(out, (uint8_t)(*at == '|' ? ' ' : *at));
        buffer_u8(out, goes_on ? '}' : ')');
    } else if (strcmp(argument, "FILE") == 0) {
        buffer_text(out, "_files");
    } else if (strcmp(argument, "DIR") == 0) {
        buffer_text(out, "_files -/");
    }
}

static void write_option(struct buffer *out, const struct option *row)
{
    buffer_printf(out, "            '%s--%s%s[", row->type == OPTION_LIST ? "*" : "", row->name,
                  row->type == OPTION_FLAG ? "" : "=");
    write_escaped(out, row->help);
    buffer_u8(out, ']');
    if (row->type != OPTION_FLAG) {
        buffer_u8(out, ':');
        write_escaped(out, row->argument);
        buffer_u8(out, ':');
        write_action(out, row);
    }
    buffer_text(out, "' \\\n");
    if (row->letter == '\0')
        return;
    buffer_printf(out, "            '-%c[", row->letter);
    write_escaped(out, row->help);
    buffer_text(out, "]:");
    write_escaped(out, row->argument);
    buffer_u8(out, ':');
    write_action(out, row);
    buffer_text(out, "' \\\n");
}

static void write_verb(struct buffer *out, const struct verb *verb)
{
    const struct str arguments = str_of(verb->arguments);
    buffer_printf(out, "    %s)\n        _arguments -s \\\n", verb->name);
    for (size_t i = 0; i < verb->options_count; i++)
        write_option(out, &verb->options[i]);
    if (str_starts(arguments, STR("MODEL…")))
        buffer_text(out, "            '*:MODEL:_weir_models' \\\n");
    else if (str_starts(arguments, STR("MODEL")))
        buffer_text(out, "            '1:MODEL:_weir_models' '*:: :_default' \\\n");
    else if (str_starts(arguments, STR("[VERB…]")))
        buffer_text(out, "            '*:VERB:_weir_verbs' \\\n");
    buffer_text(out, "            '--help[Say what the verb does, with all its options.]'\n"
                     "        ;;\n");
}

void manual_zsh(struct buffer *out)
{
    buffer_text(out, "#compdef weir\n"
                     "# zsh completion for weir, written by `weir help --format zsh`.\n\n"
                     "_weir_verbs() {\n    local -a verbs=(\n");
    for (size_t i = 0; i < verbs_count; i++) {
        buffer_printf(out, "        '%s:", verbs[i]->name);
        write_escaped(out, verbs[i]->summary);
        buffer_text(out, "'\n");
    }
    buffer_text(out, "    )\n    _describe verb verbs\n}\n\n"
                     "_weir_models() {\n"
                     "    local -a models=(${(f)\"$(weir ls --names 2>/dev/null)\"})\n"
                     "    compadd -a models\n    _files\n}\n\n"
                     "_weir() {\n"
                     "    local curcontext=$curcontext line state\n"
                     "    local -A opt_args\n"
                     "    _arguments -C '1:verb:_weir_verbs' '*::argument:->rest'\n"
                     "    [[ $state == rest ]] || return\n"
                     "    case $line[1] in\n");
    for (size_t i = 0; i < verbs_count; i++)
        write_verb(out, verbs[i]);
    buffer_text(out, "    esac\n}\n\n_weir \"$@\"\n");
}
