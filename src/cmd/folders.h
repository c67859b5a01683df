/* folders.h — where files of the user lie: models, caches, the configuration.
 *
 * A variable of ours comes first, then the XDG folder, then what XDG says in its absence. Every
 * text is the caller's (mem_free); NULL when nothing that is asked for is set, not even HOME. */
#ifndef CMD_FOLDERS_H
#define CMD_FOLDERS_H

char *folders_models(
    void); /* $WEIR_MODELS, $XDG_DATA_HOME/weir/models, ~/.local/share/weir/models */
char *folders_cache(void); /* $XDG_CACHE_HOME/weir, ~/.cache/weir */
/* The cache of the Hugging Face tools, as they look for it themselves: $HF_HUB_CACHE,
 * $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub,
 * ~/.cache/huggingface/hub. */
char *folders_hub(void);
char *folders_config(void); /* $XDG_CONFIG_HOME/weir/weir.conf, ~/.config/weir/weir.conf */

/* The path with a leading "~/" replaced by $HOME, which a shell does only where it looks. */
char *folders_expand(const char *path);

#endif
