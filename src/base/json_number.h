/* json_number.h — the decimal text of floating-point numbers; part of the JSON writer.
 *
 * Each function writes at most JSON_NUMBER_ROOM bytes, without a NUL, and returns how many. The
 * text reads back to the same number, also where a reader goes through double to get a float.
 * NaN and the infinities, for which JSON has no form, are "null". Minus zero is "-0.0", since
 * readers take "-0" for an integer and lose its sign. */
#ifndef BASE_JSON_NUMBER_H
#define BASE_JSON_NUMBER_H

#include <stddef.h>

#define JSON_NUMBER_ROOM 32

size_t json_number_double(char *out, double v); /* the first of 15, 16, 17 digits that reads back */
size_t json_number_float(char *out, float v);   /* the fewest digits that read back, at most 9 */

#endif
