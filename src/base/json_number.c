#include "base/json_number.h"

#include "base/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Powers of ten that a double holds exactly. */
static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

enum { DIGITS_MOST = 9 };

/* The numbers that are nearer to a float than to any other float lie strictly between these two.
 * Both are halves of sums of neighbours, which a double holds exactly. */
struct bounds {
    double below;
    double above;
};

static size_t put(char *out, const char *text)
{
    const size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

static float float_of_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* The neighbours of a positive float have the bits one less and one more. Above the largest stands
 * infinity, but the step up to it counts like the step below. */
static struct bounds bounds_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    const double middle = (double)v;
    const double down = middle - (double)float_of_bits(bits - 1);
    const float next = float_of_bits(bits + 1);
    const double up = isinf(next) ? down : (double)next - middle;
    return (struct bounds){ middle - down / 2, middle + up / 2 };
}

/* floor(log10(v)) for 1e-14 <= v < 1e22. The binary exponent times log10(2) (1233 / 4096) gives it
 * or one less; the sum under the division is positive, so that it rounds down. */
static int decimal_exponent(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    const int binary = (int)(bits >> 23) - 127;
    const int next = (binary * 1233 + 100 * 4096) / 4096 - 99;
    const bool reaches = next >= 0 ? (double)v >= powers[next] : (double)v * powers[-next] >= 1;
    return reaches ? next : next - 1;
}

/* The digits end at `end`; returns how many. */
static size_t put_digits_before(char *end, int64_t digits)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char *to = end;
    while (digits >= 10) {
        to -= 2;
        memcpy(to, pairs + 2 * (digits % 100), 2);
        digits /= 100;
    }
    if (digits > 0)
        *--to = (char)('0' + digits);
    return (size_t)(end - to);
}

/* "d.ddde-dd", where the decimal point stands behind `point` digits when it is written plainly. */
static size_t put_scientific(char *out, const char *text, size_t n, int point)
{
    char *to = out;
    *to++ = text[0];
    if (n > 1) {
        *to++ = '.';
        memcpy(to, text + 1, n - 1);
        to += n - 1;
    }
    *to++ = 'e';
    if (point < 1)
        *to++ = '-';
    char exponent[4];
    const size_t len = put_digits_before(exponent + sizeof(exponent), abs(point - 1));
    memcpy(to, exponent + sizeof(exponent) - len, len);
    return (size_t)(to - out) + len;
}

/* digits × 10^exponent: plain where that is short. */
static size_t put_decimal(char *out, int64_t digits, int exponent)
{
    enum { END = 16 };
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    /* Copies of a fixed size cost less than exact ones; what they put behind the end does not
     * count. */
    char text[2 * END] = { 0 };
    const size_t n = put_digits_before(text + END, digits);
    const char *const first = text + END - n;
    const int point = (int)n + exponent; /* digits before the decimal point */
    if (point > DIGITS_MOST || point < -4)
        return put_scientific(out, first, n, point);
    if (point <= 0) {
        const size_t zeros = (size_t)-point;
        memcpy(out, "0.0000", 6);
        memcpy(out + 2 + zeros, first, END);
        return 2 + zeros + n;
    }
    const size_t before = (size_t)point;
    if (before >= n) {
        memcpy(out, first, n);
        memset(out + n, '0', before - n);
        return before;
    }
    memcpy(out, first, before);
    out[before] = '.';
    memcpy(out + before + 1, first + before, n - before);
    return n + 1;
}

/* One float on its way to text. */
struct candidate {
    double value;
    struct bounds bounds;
    int exponent; /* decimal, of the first digit */
};

/* The number of so many digits that is nearest to the float, without its decimal point, or 0 if
 * it does not read back. With k digits behind the point, m is a whole number below 2^53 and 10^k
 * is exact in a double, so m / 10^k is the rounded value of the decimal text. Rounding keeps
 * order and the bounds are doubles: if the quotient lies strictly between them then so does the
 * text, and every reader gets the float. How m was found does not matter to that proof. */
static int64_t digits_that_read_back(const struct candidate *c, int digits)
{
    const int k = digits - 1 - c->exponent;
    const double scaled = k >= 0 ? c->value * powers[k] : c->value / powers[-k];
    const int64_t m = (int64_t)(scaled + 0.5);
    const double back = k >= 0 ? (double)m / powers[k] : (double)m * powers[-k];
    return back > c->bounds.below && back < c->bounds.above ? m : 0;
}

/* The quick way, for what embeddings are made of: most need 8 digits, some 7, few 9 or at most
 * 6. Any number of at most 6 digits is found with 6, as their zeros are dropped. 0 if the way
 * ends. */
static size_t put_float_quickly(char *out, float v)
{
    const struct candidate c = { (double)v, bounds_of(v), decimal_exponent(v) };
    int digits = 7;
    int64_t m = digits_that_read_back(&c, digits);
    if (m != 0) {
        const int64_t fewer = digits_that_read_back(&c, 6);
        if (fewer != 0) {
            digits = 6;
            m = fewer;
        }
    }
    while (m == 0 && digits < DIGITS_MOST)
        m = digits_that_read_back(&c, ++digits);
    return m != 0 ? put_decimal(out, m, c.exponent - (digits - 1)) : 0;
}

/* The sure way, for the very small and the very large. snprintf and strtod follow the locale, which
 * is always the C locale since weir never calls setlocale. */
static size_t put_float_surely(char *out, float v)
{
    const struct bounds bounds = bounds_of(v);
    char text[JSON_NUMBER_ROOM];
    for (int digits = 1; digits <= DIGITS_MOST; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)v);
        const double back = strtod(text, NULL);
        if (back > bounds.below && back < bounds.above)
            return put(out, text);
    }
    /* Nine digits tell any two floats apart. */
    CHECK(false);
    return 0;
}

size_t json_number_float(char *out, float v)
{
    if (!isfinite(v))
        return put(out, "null");
    if (v == 0)
        return put(out, signbit(v) ? "-0.0" : "0");
    char *to = out;
    if (v < 0) {
        *to++ = '-';
        v = -v;
    }
    size_t n = 0;
    if (v >= 1e-13F && v < 1e20F)
        n = put_float_quickly(to, v);
    if (n == 0)
        n = put_float_surely(to, v);
    return (size_t)(to - out) + n;
}

size_t json_number_double(char *out, double v)
{
    if (!isfinite(v))
        return put(out, "null");
    if (v == 0)
        return put(out, signbit(v) ? "-0.0" : "0");
    char text[JSON_NUMBER_ROOM];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return put(out, text);
}
