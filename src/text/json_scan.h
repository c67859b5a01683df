/* json_scan.h — a strict reader of JSON that builds nothing.
 *
 * The vocabulary of a large tokenizer is most of its file: a million values. A tree of them would
 * take more time and memory than the tokenizer itself, and would have rounded the numbers on its
 * way; so these parts of the file are read here, value by value, each handed out as text. The first
 * thing that is not JSON, or not what was asked for, sticks: everything fails from there on. The
 * text must be UTF-8. */
#ifndef TEXT_JSON_SCAN_H
#define TEXT_JSON_SCAN_H

#include "base/buffer.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_scan {
    struct str text;
    size_t at; /* of a failure: where */
    bool failed;
    struct buffer unescaped; /* the last string, if it had escapes */
};

void json_scan_init(struct json_scan *s, struct str text);
void json_scan_finish(struct json_scan *s);

/* The next byte that is not white space, which stays; 0 at the end. */
char json_scan_peek(struct json_scan *s);
/* Takes the byte if it comes next. */
bool json_scan_take(struct json_scan *s, char byte);
/* As json_scan_take, and its absence is a failure. */
bool json_scan_need(struct json_scan *s, char byte);
/* Between the members of a list that ends in `close`: true when another follows. `first` is true
 * before the first of them and becomes false. */
bool json_scan_more(struct json_scan *s, char close, bool *first);
/* Borrowed until the next string is read. */
bool json_scan_string(struct json_scan *s, struct str *out);
/* As it is written. */
bool json_scan_number(struct json_scan *s, struct str *out);
/* Steps over a value of any kind. Only its strings and brackets are looked at. */
bool json_scan_skip(struct json_scan *s);

#endif
