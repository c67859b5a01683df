#include "base/error.h"

#include "base/check.h"
#include "base/str.h"

#include <stdarg.h>
#include <string.h>

static const struct code_row {
    const char *name;
    const char *says;
    int http_status;
    bool retryable;
} codes[] = {
#define X(NAME, http, retry, name, says) [WEIR_##NAME] = { name, says, http, retry },
    WEIR_CODES(X)
#undef X
};
_Static_assert(ARRAY_COUNT(codes) == WEIR_CODE_COUNT, "one row a code");

/* Codes also come over the wire, so every number must find a row: NULL out of range. */
static const struct code_row *row_of(enum weir_code code)
{
    return (unsigned)code < WEIR_CODE_COUNT ? &codes[code] : NULL;
}

/* A precision may have cut a foreign name within a character, and a path may hold any byte. */
static void keep_printable(char *text)
{
    const struct str all = str_of(text);
    for (size_t at = str_utf8_valid(all); at < all.len; at = str_utf8_valid(all))
        text[at] = '?';
    str_blank_controls(text);
}

enum weir_code weir_fail(struct weir_error *err, enum weir_code code, const char *format, ...)
{
    if (err == NULL)
        return code;
    /* Made aside, since an argument may be the text that is there. Zeroed to its end, since all
     * of it crosses the wire. */
    struct weir_error fresh = { .code = code, .index = -1 };
    va_list args;
    va_start(args, format);
    str_vprint(fresh.text, sizeof(fresh.text), format, args);
    va_end(args);
    keep_printable(fresh.text);
    *err = fresh;
    return code;
}

enum weir_code weir_fail_os(struct weir_error *err, enum weir_code code, int os_errno,
                            const char *format, ...)
{
    if (err == NULL)
        return code;
    struct weir_error fresh = { .code = code, .os_errno = os_errno, .index = -1 };
    char what[sizeof(fresh.text)];
    va_list args;
    va_start(args, format);
    str_vprint(what, sizeof(what), format, args);
    va_end(args);
    char why[96];
    if (strerror_r(os_errno, why, sizeof(why)) != 0)
        str_print(why, sizeof(why), "error %d of the system", os_errno);
    str_print(fresh.text, sizeof(fresh.text), "%s: %s", what, why);
    keep_printable(fresh.text);
    *err = fresh;
    return code;
}

enum weir_code weir_wrap(struct weir_error *err, const char *format, ...)
{
    if (err == NULL)
        return WEIR_INTERNAL;
    char context[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    str_vprint(context, sizeof(context), format, args);
    va_end(args);
    char text[sizeof(err->text)] = "";
    str_print(text, sizeof(text), "%s: %s", context, err->text);
    keep_printable(text);
    memcpy(err->text, text, sizeof(text));
    return err->code;
}

int error_http_status(enum weir_code code)
{
    const struct code_row *const row = row_of(code);
    return row != NULL ? row->http_status : 500;
}

bool error_retryable(enum weir_code code)
{
    const struct code_row *const row = row_of(code);
    return row != NULL && row->retryable;
}

const char *error_name(enum weir_code code)
{
    const struct code_row *const row = row_of(code);
    return row != NULL ? row->name : "unknown";
}

const char *error_says(enum weir_code code)
{
    const struct code_row *const row = row_of(code);
    return row != NULL ? row->says : "an unknown error";
}
