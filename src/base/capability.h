/* capability.h — names of capabilities and operations, from the one list of weir/capability.h. */
#ifndef BASE_CAPABILITY_H
#define BASE_CAPABILITY_H

#include "base/str.h"

#include "weir/capability.h"

#include <stdbool.h>

const char *capability_name(unsigned capability); /* "text_embedding"; "unknown" out of range */
const char *operation_name(unsigned operation);   /* "embed"; "unknown" out of range */
bool capability_parse(struct str name, enum weir_capability *out);

#endif
