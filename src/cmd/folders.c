#include "cmd/folders.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct place {
    const char *variable, *below;
};

static char *first_of(const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *const value = getenv(places[i].variable);
        if (value == NULL || value[0] == '\0')
            continue;
        return places[i].below == NULL ? mem_copy_text(value, strlen(value))
                                       : file_join(value, places[i].below);
    }
    return NULL;
}

char *folders_models(void)
{
    static const struct place places[] = {
        {"WEIR_MODELS",    NULL                      },
        { "XDG_DATA_HOME", "weir/models"             },
        { "HOME",          ".local/share/weir/models"},
    };
    return first_of(places, ARRAY_COUNT(places));
}

char *folders_cache(void)
{
    static const struct place places[] = {
        {"XDG_CACHE_HOME", "weir"       },
        { "HOME",          ".cache/weir"},
    };
    return first_of(places, ARRAY_COUNT(places));
}

char *folders_config(void)
{
    static const struct place places[] = {
        {"XDG_CONFIG_HOME", "weir/weir.conf"        },
        { "HOME",           ".config/weir/weir.conf"},
    };
    return first_of(places, ARRAY_COUNT(places));
}
