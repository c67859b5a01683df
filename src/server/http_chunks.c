#include "server/http_chunks.h"

#include "base/check.h"
#include "base/hex.h"

/*  size --;--> extension                       last chunk: size 0
 *    |             |
 *    CR <----------+         size_lf --> line (trailers) --CR--> end_lf --> ended
 *    v                          ^          |  ^
 *  size_lf --> data --> data_cr --> data_lf  text of a trailer
 */
enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE,
    TRAILER,
    TRAILER_LF,
    END_LF,
    ENDED
};

/* Sixteen hexadecimal digits would be 64 bits; fifteen cannot overflow. */
#define DIGITS_MAX 15

void http_chunks_init(struct http_chunks *c)
{
    *c = (struct http_chunks){ .state = SIZE };
}

bool http_chunks_ended(const struct http_chunks *c)
{
    return c->state == ENDED;
}

static bool is_control(unsigned char b)
{
    return (b < 0x20 && b != '\t') || b == 0x7f;
}

static const char *step_size(struct http_chunks *c, unsigned char b)
{
    int digit = hex_digit((char)b);
    if (digit >= 0) {
        if (c->digits == DIGITS_MAX)
            return "a chunk size has more than 15 digits";
        c->digits++;
        c->left = c->left * 16 + (uint64_t)digit;
        return NULL;
    }
    if (c->digits == 0)
        return "a chunk does not begin with its size";
    if (b == ';')
        c->state = EXTENSION;
    else if (b == '\r')
        c->state = SIZE_LF;
    else
        return "a chunk size holds a byte that is no hexadecimal digit";
    return NULL;
}

/* `expected` leads to `next`; anything else is the problem of the state. */
static const char *expect(struct http_chunks *c, bool is_expected, enum state next,
                          const char *problem)
{
    if (!is_expected)
        return problem;
    c->state = (uint8_t)next;
    return NULL;
}

static const char *step(struct http_chunks *c, unsigned char b)
{
    switch ((enum state)c->state) {
    case SIZE: return step_size(c, b);
    case EXTENSION:
        if (b == '\r')
            c->state = SIZE_LF;
        return b != '\r' && is_control(b) ? "a chunk extension holds a control character" : NULL;
    case SIZE_LF:
        return expect(c, b == '\n', c->left > 0 ? DATA : LINE, "a chunk size ends without CRLF");
    case DATA_CR: return expect(c, b == '\r', DATA_LF, "a chunk is longer than its size");
    case DATA_LF: c->digits = 0; return expect(c, b == '\n', SIZE, "a chunk ends without CRLF");
    case LINE:
    case TRAILER:
        if (b == '\r')
            c->state = c->state == LINE ? END_LF : TRAILER_LF;
        else
            c->state = TRAILER;
        return b != '\r' && is_control(b) ? "a trailer holds a control character" : NULL;
    case TRAILER_LF: return expect(c, b == '\n', LINE, "a trailer ends without CRLF");
    case END_LF: return expect(c, b == '\n', ENDED, "the last chunk ends without CRLF");
    case DATA:
    case ENDED: break;
    }
    check_failed(__FILE__, __LINE__, "data, and what follows the end, are not framing");
}

size_t http_chunks_feed(struct http_chunks *c, struct str in, struct str *piece,
                        const char **problem)
{
    size_t at = 0;
    *piece = (struct str){ NULL, 0 };
    *problem = NULL;
    while (at < in.len && c->state != DATA && c->state != ENDED) {
        *problem = step(c, (unsigned char)in.data[at]);
        if (*problem)
            return at;
        at++;
    }
    if (c->state == DATA && at < in.len) {
        size_t n = in.len - at;
        if (n > c->left)
            n = (size_t)c->left;
        *piece = (struct str){ in.data + at, n };
        at += n;
        c->left -= n;
        if (c->left == 0)
            c->state = DATA_CR;
    }
    return at;
}
