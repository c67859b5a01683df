#include "cmd/folders.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct place {
    const char *variable, *below;
};

char *folders_expand(const char *path)
{
    const char *const home = getenv("HOME");
    const bool at_home = path[0] == '~' && (path[1] == '/' || path[1] == '\0');
    if (!at_home || home == NULL)
        return mem_copy_text(path, strlen(path));
    return file_join(home, path[1] == '/' ? path + 2 : "");
}

static char *first_of(const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *const value = getenv(places[i].variable);
        if (value == NULL || value[0] == '\0')
            continue;
        char *const folder = folders_expand(value);
        if (places[i].below == NULL)
            return folder;
        char *const path = file_join(folder, places[i].below);
        mem_free(folder);
        return path;
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

char *folders_hub(void)
{
    static const struct place places[] = {
        {"HF_HUB_CACHE",           NULL                    },
        { "HUGGINGFACE_HUB_CACHE", NULL                    },
        { "HF_HOME",               "hub"                   },
        { "XDG_CACHE_HOME",        "huggingface/hub"       },
        { "HOME",                  ".cache/huggingface/hub"},
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
