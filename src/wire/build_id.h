/* build_id.h — names the build: 16 hexadecimal digits over every source compiled in, generated at
 * build time. A worker whose hello carries another one is refused. */
#ifndef WIRE_BUILD_ID_H
#define WIRE_BUILD_ID_H

extern const char build_id[];

#endif
