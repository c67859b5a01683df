/* field.h — one value of a JSON file together with the path that leads to it.
 *
 * Whatever is refused is refused by name: "post_processor.single[1].Sequence.id is 'B', …". A field
 * that does not exist has a NULL value and can still be named. A field points at its parent, which
 * must outlive it. Every refusal is WEIR_LOAD_FAILED. */
#ifndef TEXT_FIELD_H
#define TEXT_FIELD_H

#include "base/error.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field {
    const json_t *value; /* borrowed from the file; NULL: there is no such field */
    const struct field *parent;
    const char *name; /* NULL in an array and at the root */
    size_t index;     /* in an array */
};

struct field_path {
    char text[96];
};
/* "added_tokens[3].content"; a path too long is cut. Returns out->text. */
const char *field_path(const struct field *f, struct field_path *out);
/* The beginning of a foreign text that an error may quote. */
struct str field_quote(struct str s);

struct field field_of(const struct field *object, const char *name);
struct field field_at(const struct field *array, size_t index);

enum weir_code field_need_object(const struct field *f, struct weir_error *err);
enum weir_code field_need_array(const struct field *f, struct weir_error *err);
enum weir_code field_bool(const struct field *object, const char *name, bool *out,
                          struct weir_error *err);
/* Borrowed from the file. */
enum weir_code field_text(const struct field *object, const char *name, struct str *out,
                          struct weir_error *err);
enum weir_code field_text_here(const struct field *f, struct str *out, struct weir_error *err);
enum weir_code field_integer(const struct field *f, int64_t least, int64_t most, int64_t *out,
                             struct weir_error *err);
/* Refuses an object with a field that is not listed (the list ends in NULL): what it would ask for
 * is not known. */
enum weir_code field_only(const struct field *object, const char *const *names,
                          struct weir_error *err);

/* A part of a tokenizer: an object with a type. */
struct component {
    struct field item;
    struct str type;
};
typedef enum weir_code (*field_visit)(void *context, const struct component *part,
                                      struct weir_error *err);

/* The most parts that a tokenizer may be made of at one place. */
#define FIELD_COMPONENTS_MAX 32

/* Visits what `f` is made of, in order: nothing when it is null or missing, the parts of a Sequence
 * (whose field `list_name` has them) however deep, or itself. Ends at the first that fails. */
enum weir_code field_components(const struct field *f, const char *list_name, field_visit visit,
                                void *context, struct weir_error *err);
enum weir_code field_unknown_type(const struct component *c, struct weir_error *err);

#endif
