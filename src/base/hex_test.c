#include "base/hex.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Every byte there is: the 22 digits have their value, all others none. */
static void every_byte(void **state)
{
    static const char digits[] = "0123456789abcdef";
    static const char capitals[] = "ABCDEF";
    int found = 0;
    (void)state;
    for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
        const char *small = c != 0 ? strchr(digits, c) : NULL;
        const char *large = c != 0 ? strchr(capitals, c) : NULL;
        int expected = -1;
        if (small != NULL)
            expected = (int)(small - digits);
        else if (large != NULL)
            expected = (int)(large - capitals) + 10;
        assert_int_equal(hex_digit((char)c), expected);
        found += expected >= 0;
    }
    assert_int_equal(found, 22);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_byte) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
