/* doctor_text.h — numbers out of the small files of /proc and /sys. */
#ifndef CMD_DOCTOR_TEXT_H
#define CMD_DOCTOR_TEXT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What stands behind "KEY:" (or "KEY\t:") in a file of such lines, without white space around. */
bool doctor_field(struct str text, const char *key, struct str *out);
/* The same as bytes: "123 kB". */
bool doctor_bytes(struct str text, const char *key, uint64_t *out);

/* The word in brackets: "always [madvise] never". */
bool doctor_chosen(struct str text, struct str *out);

/* How many CPUs' time a control group may take: "50000 100000" of cpu.max; false: "max". */
bool doctor_quota(struct str text, double *out_cpus);

#endif
