#include "server/api_keys.h"

#include "base/base64.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define KEYS_MAX     1024 /* each request is compared with all of them */
#define NAME_MAX_LEN 64
#define DIGEST_BYTES 32
#define SECRET_MAX   (64 * 1024) /* of a Basic field, decoded; a head is bounded besides */
#define NAME_RULE_SAYS                                                                             \
    "what stands before the ':' must be a name: a letter, then at most 63 letters, digits, '.', "  \
    "'_' and '-'"

struct key {
    unsigned char digest[DIGEST_BYTES];
    char name[NAME_MAX_LEN + 1]; /* empty: none */
    unsigned line;
};

struct api_keys {
    size_t count;
    struct key list[KEYS_MAX];
};

static bool digest_of(struct str secret, unsigned char out[DIGEST_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(secret.data, secret.len, out, &len, EVP_sha256(), NULL) == 1 &&
           len == DIGEST_BYTES;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool is_letter(char b)
{
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
}

/* A letter first, so that no name can be taken for an address. */
static bool is_name(struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || !is_letter(name.data[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char b = name.data[i];
        if (!is_letter(b) && (b < '0' || b > '9') && b != '.' && b != '_' && b != '-')
            return false;
    }
    return true;
}

/* What a header field can carry in one piece. */
static bool is_visible(struct str secret)
{
    for (size_t i = 0; i < secret.len; i++)
        if (secret.data[i] <= ' ' || secret.data[i] > '~')
            return false;
    return secret.len > 0;
}

static enum weir_code add(struct api_keys *keys, const char *path, unsigned number, struct str line,
                          struct weir_error *err)
{
    struct str name, secret;
    struct key *key = &keys->list[keys->count];
    bool is_named = str_cut(line, ':', &name, &secret);
    if (keys->count == KEYS_MAX)
        return weir_fail(err, WEIR_INVALID, "%s:%u: more than %d keys", path, number, KEYS_MAX);
    if (is_named && !is_name(name))
        return weir_fail(err, WEIR_INVALID, "%s:%u: " NAME_RULE_SAYS, path, number);
    if (!is_named)
        secret = line;
    if (!is_visible(secret))
        return weir_fail(err, WEIR_INVALID,
                         "%s:%u: a key must be visible ASCII characters without white space", path,
                         number);
    if (!digest_of(secret, key->digest))
        return weir_fail(err, WEIR_INTERNAL, "libcrypto could not compute a SHA-256 digest");
    for (size_t i = 0; i < keys->count; i++)
        if (memcmp(keys->list[i].digest, key->digest, DIGEST_BYTES) == 0)
            return weir_fail(err, WEIR_INVALID, "%s:%u: the key of line %u again", path, number,
                             keys->list[i].line);
    if (is_named)
        memcpy(key->name, name.data, name.len);
    key->line = number;
    keys->count++;
    return WEIR_OK;
}

enum weir_code api_keys_parse(struct str text, const char *path, struct api_keys **out,
                              struct weir_error *err)
{
    struct api_keys *keys = mem_new(1, sizeof(*keys));
    enum weir_code code = WEIR_OK;
    for (unsigned number = 1; text.len > 0 && code == WEIR_OK; number++) {
        struct str line;
        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (line.len > 0 && line.data[0] != '#')
            code = add(keys, path, number, line, err);
    }
    if (code == WEIR_OK && keys->count == 0)
        code = weir_fail(err, WEIR_INVALID, "%s: there is no key in it", path);
    if (code == WEIR_OK)
        *out = keys;
    else
        api_keys_destroy(keys);
    return code;
}

void api_keys_destroy(struct api_keys *keys)
{
    mem_free(keys);
}

size_t api_keys_count(const struct api_keys *keys)
{
    return keys->count;
}

/* --- a request -------------------------------------------------------------------------------- */

/* Every key is looked at, also behind the one that matches. */
static const struct key *find(const struct api_keys *keys, struct str secret)
{
    unsigned char digest[DIGEST_BYTES];
    const struct key *found = NULL;
    if (!digest_of(secret, digest))
        return NULL;
    for (size_t i = 0; i < keys->count; i++)
        if (CRYPTO_memcmp(keys->list[i].digest, digest, DIGEST_BYTES) == 0)
            found = &keys->list[i];
    return found;
}

/* "Basic " and base64 of "USER:PASSWORD"; the user is of no meaning. */
static const struct key *find_basic(const struct api_keys *keys, struct str coded)
{
    const struct key *found = NULL;
    struct buffer text;
    struct str user, password;
    buffer_init(&text, SECRET_MAX);
    if (base64_decode(coded, &text, NULL) == WEIR_OK &&
        str_cut(buffer_view(&text), ':', &user, &password))
        found = find(keys, password);
    buffer_finish(&text);
    return found;
}

static const struct key *find_authorization(const struct api_keys *keys, struct str field)
{
    struct str scheme, rest;
    str_cut(field, ' ', &scheme, &rest);
    rest = str_trim(rest);
    if (str_eq_ignore_case(scheme, STR("bearer")))
        return find(keys, rest);
    return str_eq_ignore_case(scheme, STR("basic")) ? find_basic(keys, rest) : NULL;
}

bool api_keys_admit(const struct api_keys *keys, struct str authorization, struct str x_api_key,
                    const char **name)
{
    const struct key *found = authorization.data ? find_authorization(keys, authorization) : NULL;
    if (found == NULL && x_api_key.data)
        found = find(keys, x_api_key);
    if (found)
        *name = found->name[0] ? found->name : NULL;
    return found != NULL;
}
