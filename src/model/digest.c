#include "model/digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

/* Every part goes in with its length before it, so that no two lists of parts look alike. */
static bool add_part(EVP_MD_CTX *sha, struct str part)
{
    uint8_t length[8];
    for (size_t i = 0; i < sizeof(length); i++)
        length[i] = (uint8_t)((uint64_t)part.len >> (8 * i));
    return EVP_DigestUpdate(sha, length, sizeof(length)) == 1 &&
           EVP_DigestUpdate(sha, part.data, part.len) == 1;
}

static bool add_files(EVP_MD_CTX *sha, const struct weight_files *w)
{
    bool done = true;
    for (size_t i = 0; done && i < w->count; i++) {
        uint8_t size[8];
        for (size_t k = 0; k < sizeof(size); k++)
            size[k] = (uint8_t)((uint64_t)w->files[i].map.size >> (8 * k));
        done = add_part(sha, (struct str){ (const char *)size, sizeof(size) }) &&
               add_part(sha, safetensors_header(&w->files[i]));
    }
    return done;
}

enum weir_code digest_model(const struct weight_files *const *files, size_t count,
                            const struct folder *folder, uint8_t out[DIGEST_BYTES],
                            struct weir_error *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    bool done = sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; done && i < count; i++)
        done = add_files(sha, files[i]);
    for (size_t i = 0; done && i < folder->count; i++)
        done = add_part(sha, str_of(folder->files[i].name)) &&
               add_part(sha, buffer_view(&folder->files[i].text));
    done = done && EVP_DigestFinal_ex(sha, digest, &length) == 1 && length == DIGEST_BYTES;
    EVP_MD_CTX_free(sha);
    if (!done)
        return weir_fail(err, WEIR_INTERNAL, "libcrypto could not compute a SHA-256 digest");
    memcpy(out, digest, DIGEST_BYTES);
    return WEIR_OK;
}
