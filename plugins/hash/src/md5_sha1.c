/* MD5 (RFC 1321) and SHA-1 (FIPS 180-4): for checksums that exist already, not for security. */
#include "blocks.h"

/* The integer part of 2^32 times |sin(i + 1)|. */
static const uint32_t SINES[64] = {
    0xd76aa478u, 0xe8c7b756u, 0x242070dbu, 0xc1bdceeeu, 0xf57c0fafu, 0x4787c62au, 0xa8304613u, 0xfd469501u,
    0x698098d8u, 0x8b44f7afu, 0xffff5bb1u, 0x895cd7beu, 0x6b901122u, 0xfd987193u, 0xa679438eu, 0x49b40821u,
    0xf61e2562u, 0xc040b340u, 0x265e5a51u, 0xe9b6c7aau, 0xd62f105du, 0x02441453u, 0xd8a1e681u, 0xe7d3fbc8u,
    0x21e1cde6u, 0xc33707d6u, 0xf4d50d87u, 0x455a14edu, 0xa9e3e905u, 0xfcefa3f8u, 0x676f02d9u, 0x8d2a4c8au,
    0xfffa3942u, 0x8771f681u, 0x6d9d6122u, 0xfde5380cu, 0xa4beea44u, 0x4bdecfa9u, 0xf6bb4b60u, 0xbebfbc70u,
    0x289b7ec6u, 0xeaa127fau, 0xd4ef3085u, 0x04881d05u, 0xd9d4d039u, 0xe6db99e5u, 0x1fa27cf8u, 0xc4ac5665u,
    0xf4292244u, 0x432aff97u, 0xab9423a7u, 0xfc93a039u, 0x655b59c3u, 0x8f0ccc92u, 0xffeff47du, 0x85845dd1u,
    0x6fa87e4fu, 0xfe2ce6e0u, 0xa3014314u, 0x4e0811a1u, 0xf7537e82u, 0xbd3af235u, 0x2ad7d2bbu, 0xeb86d391u,
};

static const uint8_t TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t turn_left(uint32_t value, uint32_t count) { return value << count | value >> (32 - count); }

static void block_md5(void *context, const uint8_t *block) {
    uint32_t *state = context;
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t index;
    for (index = 0; index < 64; index++) {
        uint32_t round = index / 16;
        uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                         : round == 1 ? (d & b) | (~d & c)
                         : round == 2 ? b ^ c ^ d
                                      : c ^ (b | ~d);
        uint32_t word = (round == 0 ? index : round == 1 ? 5 * index + 1 : round == 2 ? 3 * index + 5 : 7 * index) % 16;
        uint32_t sum = a + mixed + SINES[index] + read_little_32(block + 4 * word);
        a = d, d = c, c = b;
        b += turn_left(sum, TURNS[round][index % 4]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static void block_sha1(void *context, const uint8_t *block) {
    static const uint32_t constants[4] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xca62c1d6u};
    uint32_t *state = context;
    uint32_t words[80];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    uint32_t index;
    for (index = 0; index < 16; index++) words[index] = read_big_32(block + 4 * index);
    for (; index < 80; index++) {
        words[index] = turn_left(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1);
    }
    for (index = 0; index < 80; index++) {
        uint32_t round = index / 20;
        uint32_t mixed = round == 0 ? (b & c) | (~b & d) : round == 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t sum = turn_left(a, 5) + mixed + e + constants[round] + words[index];
        e = d, d = c, c = turn_left(b, 30), b = a, a = sum;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static const BlockHash MD5 = {block_md5, 64, 8, false};
static const BlockHash SHA1 = {block_sha1, 64, 8, true};

void hash_md5(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t state[4] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u};
    size_t index;
    run_blocks(&MD5, state, message, length);
    for (index = 0; index < 4; index++) write_little_32(digest + 4 * index, state[index]);
}

void hash_sha1(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t state[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    size_t index;
    run_blocks(&SHA1, state, message, length);
    for (index = 0; index < 5; index++) write_big_32(digest + 4 * index, state[index]);
}
