/* registry.h — what the rest of the pool asks of the registry.
 *
 * A name leads to at most one entry. Names and aliases share one map, so that no name can mean two
 * models; keys are exact, and an @revision is part of its key. An entry that was unregistered or
 * replaced loses its names at once and its workers when it has served all that it had accepted. */
#ifndef SUPERVISOR_REGISTRY_H
#define SUPERVISOR_REGISTRY_H

struct model;
struct supervisor;

struct model *model_find(struct supervisor *s, const char *name); /* by name or alias, or NULL */
/* Says that an unload has ended, and that an entry without a name has served its last request;
 * frees the latter when its last grave is gone: `m` is not to be used any more. */
void registry_settle(struct supervisor *s, struct model *m);
void model_free(struct supervisor *s, struct model *m);

#endif
