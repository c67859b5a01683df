/* variables.h — the variables of the environment that are no option of a verb. What every program
 * reads, such as HOME, is not among them unless weir looks there for something of its own. */
#ifndef CMD_VARIABLES_H
#define CMD_VARIABLES_H

/*    name               meaning */
/* clang-format off */
#define VARIABLES(X)                                                                               \
    X("WEIR_HOST",        "Server that the verbs ask; http://127.0.0.1:9347 when it is not set.")  \
    X("WEIR_API_KEY",     "Key that the verbs send to it.")                                        \
    X("WEIR_WORKER",      "Folder of weir-worker; else it is looked for beside weir, then in "     \
                          "libexec.")                                                              \
    X("WEIR_CPU",         "Kernels that workers use instead of the best: scalar, avx2, avx512.")   \
    X("WEIR_SYSTEM_ROOT", "Folder whose proc and sys state the machine's memory, for tests.")      \
    X("XDG_CONFIG_HOME",  "Holds weir/weir.conf; ~/.config when it is not set.")                   \
    X("XDG_CACHE_HOME",   "Holds weir/, which may be deleted at any time; ~/.cache when it is "    \
                          "not set.")                                                              \
    X("XDG_DATA_HOME",    "Holds weir/models; ~/.local/share when it is not set.")                 \
    X("HF_HOME",          "Holds hub/, a cache of the Hugging Face tools; its models are found; "  \
                          "~/.cache/huggingface when it is not set.")                              \
    X("HF_HUB_CACHE",     "Such a hub/ itself.")                                                   \
    X("HUGGINGFACE_HUB_CACHE", "The older name of HF_HUB_CACHE.")                                  \
    X("HOME",             "What ~ stands for in paths of models, and in the three above.")         \
    X("TERM",             "A terminal called dumb, or none, is shown no progress.")
/* clang-format on */

#endif
