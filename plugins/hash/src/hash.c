/* Digests, checksums and message authentication codes (HMAC, RFC 2104). */
#include "hashes.h"
#include "tool.h"

#define LONGEST_DIGEST 64
#define LONGEST_BLOCK 144

typedef struct {
    HashFunction *function;
    size_t digest; /* bytes */
    size_t block;  /* bytes, for HMAC */
} Hash;

static const char *const NAMES[] = {"sha256",   "sha512",   "sha224",  "sha384", "sha1",   "md5",
                                    "sha3-256", "sha3-512", "blake2b", "crc32",  "adler32"};
static const Hash HASHES[] = {
    {hash_sha256, 32, 64},   {hash_sha512, 64, 128}, {hash_sha224, 28, 64},    {hash_sha384, 48, 128},
    {hash_sha1, 20, 64},     {hash_md5, 16, 64},     {hash_sha3_256, 32, 136}, {hash_sha3_512, 64, 72},
    {hash_blake2b, 64, 128}, {hash_crc32, 4, 1},     {hash_adler32, 4, 1},
};
#define HASH_COUNT 11
#define HMAC_COUNT 9 /* the checksums at the end of the table are no basis for an authentication code */

/* Compares a digest with what the caller expects, which may be in either case and hold blanks. */
static bool put_match(Tool *tool, Text digest) {
    Buffer expected = {0};
    Text text;
    if (!tool_has(tool, "expected")) return true;
    if (!tool_text(tool, "expected", &text)) return false;
    if (!codec_decode(&codec_hexadecimal, text, "expected", &expected)) return false;
    json_put_boolean(&tool->result, "matches", text_equals(buffer_text(&expected), digest));
    return true;
}

static void put_digest(Tool *tool, const char *name, const uint8_t *bytes, size_t length, size_t message_length) {
    Text digest = {(const char *)bytes, length};
    Buffer hexadecimal = {0};
    Buffer base64 = {0};
    codec_encode(&codec_hexadecimal, digest, true, &hexadecimal);
    codec_encode(&codec_base64, digest, true, &base64);
    json_put_text(&tool->result, "algorithm", text_of(name));
    json_put_text(&tool->result, "hex", buffer_text(&hexadecimal));
    json_put_text(&tool->result, "base64", buffer_text(&base64));
    json_put_integer(&tool->result, "bytes", (int64_t)message_length);
    put_match(tool, digest);
}

static void digest(Tool *tool) {
    uint8_t bytes[LONGEST_DIGEST];
    Text data;
    size_t algorithm;
    if (!tool_bytes(tool, "data", "data_format", &data) ||
        !tool_choice(tool, "algorithm", NAMES, HASH_COUNT, 0, &algorithm)) {
        return;
    }
    HASHES[algorithm].function((const uint8_t *)data.bytes, data.length, bytes);
    put_digest(tool, NAMES[algorithm], bytes, HASHES[algorithm].digest, data.length);
}

/* HMAC(key, data) = H(key ^ opad, H(key ^ ipad, data)), a key longer than one block being hashed first. */
static bool compute_hmac(const Hash *hash, Text key, Text data, uint8_t *result) {
    uint8_t padded[LONGEST_BLOCK] = {0};
    uint8_t *message = arena_allocate(hash->block + (data.length > LONGEST_DIGEST ? data.length : LONGEST_DIGEST));
    size_t index;
    if (message == NULL) return false;
    if (key.length > hash->block) {
        hash->function((const uint8_t *)key.bytes, key.length, padded);
    } else {
        memcpy(padded, key.bytes, key.length);
    }
    for (index = 0; index < hash->block; index++) message[index] = padded[index] ^ 0x36;
    memcpy(message + hash->block, data.bytes, data.length);
    hash->function(message, hash->block + data.length, result);
    for (index = 0; index < hash->block; index++) message[index] = padded[index] ^ 0x5c;
    memcpy(message + hash->block, result, hash->digest);
    hash->function(message, hash->block + hash->digest, result);
    return true;
}

static void hmac(Tool *tool) {
    uint8_t bytes[LONGEST_DIGEST];
    Text key;
    Text data;
    size_t algorithm;
    if (!tool_bytes(tool, "key", "key_format", &key) || !tool_bytes(tool, "data", "data_format", &data) ||
        !tool_choice(tool, "algorithm", NAMES, HMAC_COUNT, 0, &algorithm) ||
        !compute_hmac(&HASHES[algorithm], key, data, bytes)) {
        return;
    }
    put_digest(tool, NAMES[algorithm], bytes, HASHES[algorithm].digest, data.length);
}

EXTISM_EXPORT("digest") int32_t tool_digest(void) { return tool_run(digest); }
EXTISM_EXPORT("hmac") int32_t tool_hmac(void) { return tool_run(hmac); }
