/* BLAKE2b with a digest of 64 bytes and no key: RFC 7693. */
#include "blocks.h"

static const uint64_t START[8] = {
    0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
    0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull,
};

static const uint8_t ORDER[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t turn_right(uint64_t value, uint32_t count) { return value >> count | value << (64 - count); }

static void mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t first, uint64_t second) {
    *a += *b + first;
    *d = turn_right(*d ^ *a, 32);
    *c += *d;
    *b = turn_right(*b ^ *c, 24);
    *a += *b + second;
    *d = turn_right(*d ^ *a, 16);
    *c += *d;
    *b = turn_right(*b ^ *c, 63);
}

static void compress(uint64_t state[8], const uint8_t *block, uint64_t counted, bool last) {
    uint64_t words[16];
    uint64_t work[16];
    size_t round;
    size_t index;
    for (index = 0; index < 16; index++) words[index] = read_little_64(block + 8 * index);
    for (index = 0; index < 8; index++) {
        work[index] = state[index];
        work[index + 8] = START[index];
    }
    work[12] ^= counted;
    if (last) work[14] = ~work[14];
    for (round = 0; round < 12; round++) {
        const uint8_t *order = ORDER[round % 10];
        for (index = 0; index < 8; index++) {
            size_t shift = index / 4;
            size_t column = index % 4;
            mix(&work[column], &work[4 + (column + shift) % 4], &work[8 + (column + 2 * shift) % 4],
                &work[12 + (column + 3 * shift) % 4], words[order[2 * index]], words[order[2 * index + 1]]);
        }
    }
    for (index = 0; index < 8; index++) state[index] ^= work[index] ^ work[index + 8];
}

void hash_blake2b(const uint8_t *message, size_t length, uint8_t *digest) {
    uint64_t state[8];
    uint8_t last[128] = {0};
    uint64_t counted = 0;
    size_t index;
    for (index = 0; index < 8; index++) state[index] = START[index];
    state[0] ^= 0x01010000u ^ 64u;
    for (; length > 128; length -= 128, message += 128) {
        counted += 128;
        compress(state, message, counted, false);
    }
    for (index = 0; index < length; index++) last[index] = message[index];
    compress(state, last, counted + length, true);
    for (index = 0; index < 64; index++) digest[index] = (uint8_t)(state[index / 8] >> 8 * (index % 8));
}
