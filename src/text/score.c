#include "text/score.h"

#include "base/check.h"

#include <stdint.h>

#define TEN_MAX      308 /* the largest power of ten that a double holds */
#define EXPONENT_MAX 100000

/* The power of ten nearest to 10^n; the library has them as literals. */
static double power_of_ten(int n)
{
    static const double exact[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (n < (int)ARRAY_COUNT(exact))
        return exact[n];
    const char text[] = { '1', 'e', (char)('0' + n / 100), (char)('0' + n / 10 % 10),
                          (char)('0' + n % 10) };
    double power = 0;
    CHECK(str_to_double((struct str){ text, sizeof(text) }, &power));
    return power;
}

static bool is_digit(struct str s, size_t at)
{
    return at < s.len && s.data[at] >= '0' && s.data[at] <= '9';
}

/* Takes a digit while the integer has room for it. */
static bool take_digit(uint64_t *integer, char digit)
{
    uint64_t value = (uint64_t)(digit - '0');
    if (*integer > (UINT64_MAX - value) / 10)
        return false;
    *integer = *integer * 10 + value;
    return true;
}

/* The exponent that the text names, cut to what can matter. */
static int read_exponent(struct str s, size_t at)
{
    int exponent = 0;
    if (at == s.len)
        return 0;
    at++; /* e */
    bool is_negative = s.data[at] == '-';
    at += is_negative || s.data[at] == '+';
    for (; is_digit(s, at); at++) {
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (s.data[at] - '0');
    }
    return is_negative ? -exponent : exponent;
}

static bool scale(double *value, int64_t exponent)
{
    while (exponent < -TEN_MAX && *value != 0) {
        *value /= power_of_ten(TEN_MAX);
        exponent += TEN_MAX;
    }
    if (*value == 0)
        return true;
    if (exponent > TEN_MAX)
        return false;
    if (exponent < 0)
        *value /= power_of_ten((int)-exponent);
    else
        *value *= power_of_ten((int)exponent);
    return *value - *value == 0; /* finite */
}

bool score_read(struct str number, double *out)
{
    size_t at = number.data[0] == '-';
    uint64_t integer = 0;
    int64_t exponent = 0;
    bool has_room = true;
    for (; is_digit(number, at); at++) {
        has_room = has_room && take_digit(&integer, number.data[at]);
        exponent += !has_room;
    }
    if (at < number.len && number.data[at] == '.') {
        for (at++; is_digit(number, at); at++) {
            has_room = has_room && take_digit(&integer, number.data[at]);
            exponent -= has_room;
        }
    }
    double value = (double)integer;
    if (!scale(&value, exponent + read_exponent(number, at)))
        return false;
    *out = number.data[0] == '-' ? -value : value;
    return true;
}
