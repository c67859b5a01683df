/* capability.h — what a model can do, and the operations that ask for it.
 *
 * One list drives the enum, the names and every table with a row a capability. The same words are
 * used in the wire, in the workers, in the server and in the tests. */
#ifndef WEIR_CAPABILITY_H
#define WEIR_CAPABILITY_H

#define WEIR_CAPABILITIES(X)                                                                       \
    X(TEXT_EMBEDDING, text_embedding)                                                              \
    X(TEXT_TO_TEXT, text_to_text)                                                                  \
    X(IMAGE_EMBEDDING, image_embedding)                                                            \
    X(VISION, vision)                                                                              \
    X(TEXT_TO_IMAGE, text_to_image)

enum weir_capability {
#define X(NAME, name) WEIR_##NAME,
    WEIR_CAPABILITIES(X)
#undef X
        WEIR_CAPABILITY_COUNT
};

/* An operation belongs to the capabilities that its comment names. */
#define WEIR_OPERATIONS(X)                                                                         \
    X(EMBED, embed)           /* text_embedding: texts, image_embedding: images; to vectors   */   \
    X(TOKENIZE, tokenize)     /* text capabilities: texts to token ids, collected             */   \
    X(DETOKENIZE, detokenize) /* text capabilities: token ids to text, collected              */   \
    X(GENERATE, generate)     /* text_to_text: a prompt or a conversation to streamed text    */   \
    X(LOAD, load)             /* any: ends when the model is READY                            */   \
    X(DESCRIBE, describe)     /* vision: a conversation with images to streamed text          */   \
    X(DRAW, draw)             /* text_to_image: a prompt to images, with progress             */

enum weir_operation {
#define X(NAME, name) WEIR_##NAME,
    WEIR_OPERATIONS(X)
#undef X
        WEIR_OPERATION_COUNT
};

#endif
