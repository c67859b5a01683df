/* manual_bash.c — completion for bash, as one function without any other package.
 *
 * bash splits words at ':' and '=', which names of models and --name=value are made of. The
 * function looks at the line itself and takes off again what stands before bash's own word. */
#include "cmd/manual.h"

#include "base/str.h"
#include "cmd/verb.h"

#include <string.h>

static const char head[] =
    "# bash completion for weir, written by `weir help --format bash`.\n"
    "\n"
    "_weir_offer() {\n"
    "    # The words that begin as $word does, without what bash has already.\n"
    "    local reply\n"
    "    while IFS= read -r reply; do\n"
    "        [[ -n $reply && $reply == \"$word\"* ]] && COMPREPLY+=(\"${reply#\"$before\"}\")\n"
    "    done\n"
    "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
    "    return 0\n"
    "}\n"
    "\n";

static const char tail[] =
    "\n"
    "_weir() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} word before verb option= flags= letters= takes= i\n"
    "    local -a words\n"
    "    COMPREPLY=()\n"
    "    read -ra words <<< \"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=('')\n"
    "    word=${words[${#words[@]} - 1]}\n"
    "    local own=${COMP_WORDS[COMP_CWORD]}\n"
    "    [[ $own == [=:] ]] && own=\n"
    "    before=${word%\"$own\"}\n"
    "    if [[ ${#words[@]} -le 2 ]]; then\n"
    "        _weir_verbs\n"
    "        return\n"
    "    fi\n"
    "    verb=${words[1]}\n"
    "    option=${words[${#words[@]} - 2]}\n"
    "    if [[ $word == --*=* ]]; then\n"
    "        option=${word%%=*}\n"
    "        before=${before#\"$option=\"}\n"
    "        word=${word#*=}\n"
    "    fi\n"
    "    _weir_value && return\n"
    "    _weir_rest\n"
    "}\n"
    "\n"
    "complete -F _weir weir\n";

/* "_weir_offer < <(printf …)": words never hold a blank or a quote. */
static void offer_words(struct buffer *out, const char *words, char separator)
{
    struct str rest = str_of(words), word;
    buffer_text(out, "_weir_offer < <(printf '%s\\n'");
    while (rest.len > 0) {
        str_cut(rest, separator, &word, &rest);
        buffer_printf(out, " '%.*s'", STR_ARG(word));
    }
    buffer_text(out, ")");
}

static void write_verbs(struct buffer *out)
{
    buffer_text(out, "_weir_verbs() {\n    _weir_offer < <(printf '%s\\n'");
    for (size_t i = 0; i < verbs_count; i++)
        buffer_printf(out, " %s", verbs[i]->name);
    buffer_text(out, " --help --version)\n}\n\n");
}

/* What a value is made of, by how the help calls it. */
static void write_value(struct buffer *out, const struct option *row)
{
    const char *const argument = row->argument != NULL ? row->argument : "";
    if (row->choices != NULL)
        offer_words(out, row->choices, '|');
    else if (row->words != NULL)
        offer_words(out, row->words, '|');
    else if (strcmp(argument, "FILE") == 0)
        buffer_text(out,
                    "compopt -o filenames 2>/dev/null; _weir_offer < <(compgen -f -- \"$word\")");
    else if (strcmp(argument, "DIR") == 0)
        buffer_text(out,
                    "compopt -o filenames 2>/dev/null; _weir_offer < <(compgen -d -- \"$word\")");
    else
        buffer_text(out, ":");
    buffer_text(out, " ;;\n");
}

/* One arm an option that takes a value: true when $option is one. */
static void write_values(struct buffer *out)
{
    buffer_text(out, "_weir_value() {\n    case $verb:$option in\n");
    for (size_t i = 0; i < verbs_count; i++) {
        for (size_t k = 0; k < verbs[i]->options_count; k++) {
            const struct option *const row = &verbs[i]->options[k];
            if (row->type == OPTION_FLAG)
                continue;
            buffer_printf(out, "    %s:--%s", verbs[i]->name, row->name);
            if (row->letter != '\0')
                buffer_printf(out, " | %s:-%c", verbs[i]->name, row->letter);
            buffer_text(out, ") ");
            write_value(out, row);
        }
    }
    buffer_text(out, "    *) return 1 ;;\n    esac\n}\n\n");
}

/* "MODEL", "MODEL TEXT…": the first argument only; "MODEL…": every one. */
static const char *takes_of(const struct verb *verb)
{
    const struct str arguments = str_of(verb->arguments);
    if (str_starts(arguments, STR("MODEL…")))
        return "models";
    if (str_starts(arguments, STR("MODEL")))
        return "model";
    return str_starts(arguments, STR("[VERB…]")) ? "verbs" : "nothing";
}

static void write_rest(struct buffer *out)
{
    buffer_text(out, "_weir_rest() {\n    case $verb in\n");
    for (size_t i = 0; i < verbs_count; i++) {
        buffer_printf(out, "    %s) takes=%s flags='", verbs[i]->name, takes_of(verbs[i]));
        for (size_t k = 0; k < verbs[i]->options_count; k++)
            buffer_printf(out, "--%s%s ", verbs[i]->options[k].name,
                          verbs[i]->options[k].type == OPTION_FLAG ? "" : "=");
        buffer_text(out, "--help' letters='");
        for (size_t k = 0; k < verbs[i]->options_count; k++) {
            if (verbs[i]->options[k].letter != '\0')
                buffer_printf(out, "-%c ", verbs[i]->options[k].letter);
        }
        buffer_text(out, "' ;;\n");
    }
    buffer_text(
        out, "    *) return ;;\n"
             "    esac\n"
             "    if [[ $word == -* ]]; then\n"
             "        _weir_offer < <(printf '%s\\n' $flags)\n"
             "        return\n"
             "    fi\n"
             "    # An argument before this one: the model is named already.\n"
             "    if [[ $takes == model ]]; then\n"
             "        for ((i = 2; i < ${#words[@]} - 1; i++)); do\n"
             "            option=${words[i]}\n"
             "            if [[ $flags == *\"$option=\"* || $letters == *\"$option \"* ]]; then\n"
             "                ((i++)) # its value\n"
             "            elif [[ $option != -* ]]; then\n"
             "                takes=nothing\n"
             "            fi\n"
             "        done\n"
             "    fi\n"
             "    case $takes in\n"
             "    verbs) _weir_verbs ;;\n"
             "    model | models)\n"
             "        if [[ $word == [/.~]* ]]; then\n"
             "            compopt -o filenames 2>/dev/null\n"
             "            _weir_offer < <(compgen -f -- \"$word\")\n"
             "        else\n"
             "            _weir_offer < <(\"${words[0]}\" ls --names 2>/dev/null)\n"
             "        fi\n"
             "        ;;\n"
             "    esac\n"
             "}\n");
}

void manual_bash(struct buffer *out)
{
    buffer_text(out, head);
    write_verbs(out);
    write_values(out);
    write_rest(out);
    buffer_text(out, tail);
}
