#include "base/size.h"

#include "base/check.h"
#include "base/str.h"

#include <stdio.h>

#define TiB (GiB * 1024)

struct unit {
    struct str name;
    uint64_t factor;
};

/* Size units are read without regard to case: nobody means millibytes. */
static const struct unit size_units[] = {
    {{ "", 0 },     1                      },
    { { "B", 1 },   1                      },
    { { "KiB", 3 }, KiB                    },
    { { "MiB", 3 }, MiB                    },
    { { "GiB", 3 }, GiB                    },
    { { "TiB", 3 }, TiB                    },
    { { "KB", 2 },  UINT64_C(1000)         },
    { { "MB", 2 },  UINT64_C(1000000)      },
    { { "GB", 2 },  UINT64_C(1000000000)   },
    { { "TB", 2 },  UINT64_C(1000000000000)},
};

static const struct unit duration_units[] = {
    {{ "ms", 2 }, 1             },
    { { "s", 1 }, 1000          },
    { { "m", 1 }, 60 * 1000     },
    { { "h", 1 }, 60 * 60 * 1000},
};

bool size_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a != 0 && b > UINT64_MAX / a)
        return false;
    *out = a * b;
    return true;
}

bool size_add(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b > UINT64_MAX - a)
        return false;
    *out = a + b;
    return true;
}

static size_t digits_at(struct str s, size_t at)
{
    size_t end = at;
    while (end < s.len && s.data[end] >= '0' && s.data[end] <= '9')
        end++;
    return end - at;
}

/* Takes "12.5 unit" apart: digits, digits behind the point, and what follows. */
static bool split_quantity(struct str s, struct str *whole, struct str *fraction, struct str *unit)
{
    size_t at = digits_at(s, 0);
    if (at == 0)
        return false;
    *whole = (struct str){ s.data, at };
    *fraction = (struct str){ NULL, 0 };
    if (at < s.len && s.data[at] == '.') {
        *fraction = (struct str){ s.data + at + 1, digits_at(s, at + 1) };
        if (fraction->len == 0)
            return false;
        at += 1 + fraction->len;
    }
    *unit = str_trim((struct str){ s.data + at, s.len - at });
    return true;
}

/* whole.fraction × factor, rounded down. Digit by digit from the last one: floors of tenths
 * compose, so the result is exact for any number of digits, and no step passes 10 × factor. */
static bool quantity(struct str whole, struct str fraction, uint64_t factor, uint64_t *out)
{
    uint64_t part = 0;
    for (size_t i = fraction.len; i > 0; i--)
        part = ((uint64_t)(fraction.data[i - 1] - '0') * factor + part) / 10;
    uint64_t value;
    return str_to_u64(whole, &value) && size_mul(value, factor, &value) &&
           size_add(value, part, out);
}

enum weir_code size_parse(const char *text, uint64_t *out_bytes, struct weir_error *err)
{
    struct str whole, fraction, unit;
    if (split_quantity(str_of(text), &whole, &fraction, &unit)) {
        for (size_t i = 0; i < ARRAY_COUNT(size_units); i++) {
            if (!str_eq_ignore_case(unit, size_units[i].name))
                continue;
            if (!quantity(whole, fraction, size_units[i].factor, out_bytes))
                return weir_fail(err, WEIR_INVALID, "the size '%s' is more than 2^64 - 1 bytes",
                                 text);
            return WEIR_OK;
        }
    }
    return weir_fail(
        err, WEIR_INVALID,
        "'%s' is not a size: write a number and B, KiB, MiB, GiB, TiB, KB, MB, GB or TB",
        text != NULL ? text : "");
}

enum weir_code size_parse_duration(const char *text, int64_t bare_unit_ms, int64_t *out_ms,
                                   struct weir_error *err)
{
    CHECK(bare_unit_ms > 0);
    struct str whole, fraction, unit;
    uint64_t factor = 0;
    if (split_quantity(str_of(text), &whole, &fraction, &unit)) {
        if (unit.len == 0)
            factor = (uint64_t)bare_unit_ms;
        for (size_t i = 0; i < ARRAY_COUNT(duration_units); i++) {
            if (str_eq(unit, duration_units[i].name))
                factor = duration_units[i].factor;
        }
    }
    if (factor == 0)
        return weir_fail(err, WEIR_INVALID,
                         "'%s' is not a duration: write a number and ms, s, m or h",
                         text != NULL ? text : "");
    uint64_t ms;
    if (!quantity(whole, fraction, factor, &ms) || ms > INT64_MAX)
        return weir_fail(err, WEIR_INVALID, "the duration '%s' is more than 2^63 - 1 ms", text);
    *out_ms = (int64_t)ms;
    return WEIR_OK;
}

/* Whole amounts and those of three digits have no decimal: "6 GiB" is exact, "6.0 GiB" is about
 * that. */
const char *size_format(uint64_t bytes, struct size_text *out)
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t unit = 0;
    uint64_t factor = 1;
    while (unit + 1 < ARRAY_COUNT(names) && bytes / factor >= 1024) {
        factor *= 1024;
        unit++;
    }
    const uint64_t whole = bytes / factor;
    const uint64_t rest = bytes % factor;
    if (rest == 0) {
        snprintf(out->text, sizeof(out->text), "%llu %s", (unsigned long long)whole, names[unit]);
        return out->text;
    }
    /* Tenths, rounded to nearest; 10 EiB and a half still fit 64 bits. What would read "1024"
     * belongs to the next unit. */
    uint64_t tenths = whole * 10 + (rest * 10 + factor / 2) / factor;
    if (tenths + 5 >= 10240 && unit + 1 < ARRAY_COUNT(names)) {
        tenths = 10;
        unit++;
    }
    if (tenths >= 1000)
        snprintf(out->text, sizeof(out->text), "%llu %s", (unsigned long long)((tenths + 5) / 10),
                 names[unit]);
    else
        snprintf(out->text, sizeof(out->text), "%llu.%llu %s", (unsigned long long)(tenths / 10),
                 (unsigned long long)(tenths % 10), names[unit]);
    return out->text;
}
