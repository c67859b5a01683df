/* folders.h — where files of the user lie: models, caches, the configuration.
 *
 * A variable of ours comes first, then the XDG folder, then what XDG says in its absence. Every
 * text is the caller's (mem_free); NULL when nothing that is asked for is set, not even HOME. */
#ifndef CMD_FOLDERS_H
#define CMD_FOLDERS_H

char *folders_models(
    void); /* $WEIR_MODELS, $XDG_DATA_HOME/weir/models, ~/.local/share/weir/models */
char *folders_cache(void);  /* $XDG_CACHE_HOME/weir, ~/.cache/weir */
char *folders_config(void); /* $XDG_CONFIG_HOME/weir/weir.conf, ~/.config/weir/weir.conf */

#endif
