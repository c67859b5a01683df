/* hex.h — hexadecimal digits, for the formats that write numbers with them. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

int hex_digit(char c); /* 0 to 15; -1 when it is none */

#endif
