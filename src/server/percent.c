#include "server/percent.h"

#include "base/hex.h"

static bool decode(struct str coded, bool plus_is_space, struct arena *arena, struct str *out)
{
    char *text = arena_try(arena, coded.len + 1, 1);
    size_t n = 0;
    if (text == NULL)
        return false;
    for (size_t i = 0; i < coded.len; i++) {
        char b = coded.data[i];
        if (b == '%') {
            int high = i + 1 < coded.len ? hex_digit(coded.data[i + 1]) : -1;
            int low = i + 2 < coded.len ? hex_digit(coded.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return false;
            b = (char)(high * 16 + low);
            i += 2;
        } else if (b == '+' && plus_is_space) {
            b = ' ';
        }
        text[n++] = b;
    }
    *out = (struct str){ text, n };
    return str_utf8_valid(*out) == n;
}

bool percent_decode(struct str coded, struct arena *arena, struct str *out)
{
    return decode(coded, false, arena, out);
}

bool percent_query(struct str query, struct str name, struct arena *arena, struct str *out)
{
    *out = (struct str){ NULL, 0 };
    while (query.len > 0) {
        struct str field, rest, key, value;
        str_cut(query, '&', &field, &rest);
        str_cut(field, '=', &key, &value);
        if (str_eq(key, name))
            return decode(value, true, arena, out);
        query = rest;
    }
    return true;
}
