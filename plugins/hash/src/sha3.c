/* SHA3-256 and SHA3-512: FIPS 202. */
#include "blocks.h"

static const uint64_t IOTA[24] = {
    0x0000000000000001ull, 0x0000000000008082ull, 0x800000000000808aull, 0x8000000080008000ull, 0x000000000000808bull,
    0x0000000080000001ull, 0x8000000080008081ull, 0x8000000000008009ull, 0x000000000000008aull, 0x0000000000000088ull,
    0x0000000080008009ull, 0x000000008000000aull, 0x000000008000808bull, 0x800000000000008bull, 0x8000000000008089ull,
    0x8000000000008003ull, 0x8000000000008002ull, 0x8000000000000080ull, 0x000000000000800aull, 0x800000008000000aull,
    0x8000000080008081ull, 0x8000000000008080ull, 0x0000000080000001ull, 0x8000000080008008ull,
};

/* The lanes in the order in which rho and pi visit them, and how far each is turned. */
static const uint8_t PI[24] = {10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1};
static const uint8_t RHO[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};

static uint64_t turn_left(uint64_t value, uint32_t count) { return value << count | value >> (64 - count); }

static void theta(uint64_t lanes[25]) {
    uint64_t columns[5];
    size_t x;
    size_t y;
    for (x = 0; x < 5; x++) columns[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
    for (x = 0; x < 5; x++) {
        uint64_t mixed = columns[(x + 4) % 5] ^ turn_left(columns[(x + 1) % 5], 1);
        for (y = 0; y < 25; y += 5) lanes[x + y] ^= mixed;
    }
}

static void permute(uint64_t lanes[25]) {
    size_t round;
    for (round = 0; round < 24; round++) {
        uint64_t carried;
        size_t index;
        theta(lanes);
        carried = lanes[1];
        for (index = 0; index < 24; index++) {
            uint64_t next = lanes[PI[index]];
            lanes[PI[index]] = turn_left(carried, RHO[index]);
            carried = next;
        }
        for (index = 0; index < 25; index += 5) {
            uint64_t row[5];
            size_t x;
            for (x = 0; x < 5; x++) row[x] = lanes[index + x];
            for (x = 0; x < 5; x++) lanes[index + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        lanes[0] ^= IOTA[round];
    }
}

static void sha3(const uint8_t *message, size_t length, uint8_t *digest, size_t digest_length) {
    uint64_t lanes[25] = {0};
    uint8_t last[200] = {0};
    size_t rate = 200 - 2 * digest_length;
    size_t index;
    for (; length >= rate; length -= rate, message += rate) {
        for (index = 0; index < rate / 8; index++) lanes[index] ^= read_little_64(message + 8 * index);
        permute(lanes);
    }
    for (index = 0; index < length; index++) last[index] = message[index];
    last[length] = 0x06;
    last[rate - 1] |= 0x80;
    for (index = 0; index < rate / 8; index++) lanes[index] ^= read_little_64(last + 8 * index);
    permute(lanes);
    for (index = 0; index < digest_length; index++) digest[index] = (uint8_t)(lanes[index / 8] >> 8 * (index % 8));
}

void hash_sha3_256(const uint8_t *message, size_t length, uint8_t *digest) { sha3(message, length, digest, 32); }

void hash_sha3_512(const uint8_t *message, size_t length, uint8_t *digest) { sha3(message, length, digest, 64); }
