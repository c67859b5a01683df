/* field_list.h — the fields of request bodies, for who reads about them; what each may hold is the
 * business of the room that reads it. tests/e2e/reference_test.py asks the server whether it knows
 * every one. Fields that stand in no row are ignored, or refused where that would be a wrong
 * answer. */
#ifndef SERVER_FIELD_LIST_H
#define SERVER_FIELD_LIST_H

/* Those of every route that puts a request to a model have the path "". */
/* clang-format off */
#define FIELD_LIST(X)                                                                              \
    X("", "model", "text",                                                                         \
      "Name or alias of the model.")                                                               \
    X("", "deadline_ms", "whole number",                                                           \
      "What the request may take; the header x-weir-deadline-ms stands in for it.")                \
    X("", "priority", "text",                                                                      \
      "critical, high, normal, low or batch; the header x-weir-priority stands in for it.")        \
    X("", "keep_alive", "text or number",                                                          \
      "How long the model stays afterwards: 5m, or seconds; 0: it leaves, less: it stays.")        \
    X("", "user", "text",                                                                          \
      "Has no meaning here.")                                                                      \
    X("/v1/embeddings", "input", "text, ids, image, or array of them",                             \
      "What is embedded, in order.")                                                               \
    X("/v1/embeddings", "encoding_format", "text",                                                 \
      "float or base64.")                                                                          \
    X("/v1/embeddings", "dimensions", "whole number",                                              \
      "Vectors are cut to so many numbers and normalised again.")                                  \
    X("/v1/embeddings", "truncate", "true or false",                                               \
      "Cuts inputs that are too long, or refuses them; as the model's setting where absent.")      \
    X("/v1/embeddings", "prompt_name", "text",                                                     \
      "The model's prompt of that name goes before each text.")                                    \
    X("/v1/embeddings", "modality", "text",                                                        \
      "text or image: what a text in input is.")                                                   \
    X("/embed", "inputs", "text, ids, or array of them",                                           \
      "What is embedded, in order.")                                                               \
    X("/embed", "truncate", "true or false",                                                       \
      "Cuts inputs that are too long, or refuses them; as the model's setting where absent.")      \
    X("/embed", "truncation_direction", "text",                                                    \
      "Right or Left: where inputs that are too long are cut.")                                    \
    X("/embed", "prompt_name", "text",                                                             \
      "The model's prompt of that name goes before each text.")                                    \
    X("/embed", "normalize", "true or false",                                                      \
      "Whether vectors get the length 1; true where absent.")                                      \
    X("/embed", "dimensions", "whole number",                                                      \
      "Vectors are cut to so many numbers.")                                                       \
    X("/weir/v1/tokenize", "input", "text or array of texts",                                      \
      "What is taken apart.")                                                                      \
    X("/weir/v1/tokenize", "add_special_tokens", "true or false",                                  \
      "Whether the tokenizer adds its own; true where absent.")                                    \
    X("/weir/v1/detokenize", "tokens", "array of ids",                                             \
      "What is put together.")                                                                     \
    X("/v1/chat/completions", "messages", "array of messages",                                     \
      "The conversation: role and content, a text or parts of type text and image_url.")           \
    X("/v1/chat/completions", "max_completion_tokens", "whole number",                             \
      "Tokens of the answer at most; max_tokens is the same.")                                     \
    X("/v1/chat/completions", "temperature", "number",                                             \
      "0 to 2; 1 where absent.")                                                                   \
    X("/v1/chat/completions", "top_p", "number",                                                   \
      "0 to 1; 1 where absent.")                                                                   \
    X("/v1/chat/completions", "top_k", "whole number",                                             \
      "Among how many tokens is chosen; 0: all.")                                                  \
    X("/v1/chat/completions", "seed", "whole number",                                              \
      "Of the sampling.")                                                                          \
    X("/v1/chat/completions", "stop", "text or array of texts",                                    \
      "What ends the answer, at most 4.")                                                          \
    X("/v1/chat/completions", "stream", "true or false",                                           \
      "Server-sent events instead of one body.")                                                   \
    X("/v1/chat/completions", "stream_options", "object",                                          \
      "include_usage: whether the last event has the usage.")                                      \
    X("/v1/chat/completions", "response_format", "object",                                         \
      "Of type text only.")                                                                        \
    X("/v1/images/generations", "prompt", "text",                                                  \
      "What is drawn.")                                                                            \
    X("/v1/images/generations", "negative_prompt", "text",                                         \
      "What is not to be seen.")                                                                   \
    X("/v1/images/generations", "n", "whole number",                                               \
      "Images, 1 to 10.")                                                                          \
    X("/v1/images/generations", "size", "text",                                                    \
      "auto or WIDTHxHEIGHT, multiples of 16 up to 2048.")                                         \
    X("/v1/images/generations", "steps", "whole number",                                           \
      "1 to 200; the model's own where absent.")                                                   \
    X("/v1/images/generations", "guidance", "number",                                              \
      "0 to 100; the model's own where absent.")                                                   \
    X("/v1/images/generations", "seed", "whole number",                                            \
      "Of the first image; each further one has the next.")                                        \
    X("/v1/images/generations", "response_format", "text",                                         \
      "b64_json only.")                                                                            \
    X("/v1/images/generations", "output_format", "text",                                           \
      "png only.")                                                                                 \
    X("/v1/images/generations", "stream", "true or false",                                         \
      "Server-sent events with the steps.")
/* clang-format on */

#endif
