#include "cmd/doctor_text.h"

#include "base/size.h"

bool doctor_field(struct str text, const char *key, struct str *out)
{
    struct str line, name, value, rest = text;
    while (rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        if (str_cut(line, ':', &name, &value) && str_eq(str_trim(name), str_of(key))) {
            *out = str_trim(value);
            return true;
        }
    }
    return false;
}

bool doctor_bytes(struct str text, const char *key, uint64_t *out)
{
    struct str field, number, unit;
    uint64_t kib;
    return doctor_field(text, key, &field) && str_cut(field, ' ', &number, &unit) &&
           str_eq(unit, STR("kB")) && str_to_u64(number, &kib) && size_mul(kib, KiB, out);
}

bool doctor_chosen(struct str text, struct str *out)
{
    struct str before, rest, word;
    if (!str_cut(text, '[', &before, &rest) || !str_cut(rest, ']', &word, &rest))
        return false;
    *out = word;
    return true;
}

bool doctor_quota(struct str text, double *out_cpus)
{
    struct str quota, period;
    uint64_t used, in;
    if (!str_cut(str_trim(text), ' ', &quota, &period) || !str_to_u64(quota, &used) ||
        !str_to_u64(str_trim(period), &in) || in == 0)
        return false;
    *out_cpus = (double)used / (double)in;
    return true;
}
