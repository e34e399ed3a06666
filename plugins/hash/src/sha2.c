/* SHA-224, SHA-256, SHA-384 and SHA-512: FIPS 180-4. The constants are the first bits of the fractional parts of the
 * square and cube roots of the first primes. */
#include "blocks.h"

static const uint32_t ROUND_256[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static const uint64_t ROUND_512[80] = {
    0x428a2f98d728ae22ull, 0x7137449123ef65cdull, 0xb5c0fbcfec4d3b2full, 0xe9b5dba58189dbbcull, 0x3956c25bf348b538ull,
    0x59f111f1b605d019ull, 0x923f82a4af194f9bull, 0xab1c5ed5da6d8118ull, 0xd807aa98a3030242ull, 0x12835b0145706fbeull,
    0x243185be4ee4b28cull, 0x550c7dc3d5ffb4e2ull, 0x72be5d74f27b896full, 0x80deb1fe3b1696b1ull, 0x9bdc06a725c71235ull,
    0xc19bf174cf692694ull, 0xe49b69c19ef14ad2ull, 0xefbe4786384f25e3ull, 0x0fc19dc68b8cd5b5ull, 0x240ca1cc77ac9c65ull,
    0x2de92c6f592b0275ull, 0x4a7484aa6ea6e483ull, 0x5cb0a9dcbd41fbd4ull, 0x76f988da831153b5ull, 0x983e5152ee66dfabull,
    0xa831c66d2db43210ull, 0xb00327c898fb213full, 0xbf597fc7beef0ee4ull, 0xc6e00bf33da88fc2ull, 0xd5a79147930aa725ull,
    0x06ca6351e003826full, 0x142929670a0e6e70ull, 0x27b70a8546d22ffcull, 0x2e1b21385c26c926ull, 0x4d2c6dfc5ac42aedull,
    0x53380d139d95b3dfull, 0x650a73548baf63deull, 0x766a0abb3c77b2a8ull, 0x81c2c92e47edaee6ull, 0x92722c851482353bull,
    0xa2bfe8a14cf10364ull, 0xa81a664bbc423001ull, 0xc24b8b70d0f89791ull, 0xc76c51a30654be30ull, 0xd192e819d6ef5218ull,
    0xd69906245565a910ull, 0xf40e35855771202aull, 0x106aa07032bbd1b8ull, 0x19a4c116b8d2d0c8ull, 0x1e376c085141ab53ull,
    0x2748774cdf8eeb99ull, 0x34b0bcb5e19b48a8ull, 0x391c0cb3c5c95a63ull, 0x4ed8aa4ae3418acbull, 0x5b9cca4f7763e373ull,
    0x682e6ff3d6b2b8a3ull, 0x748f82ee5defb2fcull, 0x78a5636f43172f60ull, 0x84c87814a1f0ab72ull, 0x8cc702081a6439ecull,
    0x90befffa23631e28ull, 0xa4506cebde82bde9ull, 0xbef9a3f7b2c67915ull, 0xc67178f2e372532bull, 0xca273eceea26619cull,
    0xd186b8c721c0c207ull, 0xeada7dd6cde0eb1eull, 0xf57d4f7fee6ed178ull, 0x06f067aa72176fbaull, 0x0a637dc5a2c898a6ull,
    0x113f9804bef90daeull, 0x1b710b35131c471bull, 0x28db77f523047d84ull, 0x32caab7b40c72493ull, 0x3c9ebe0a15c9bebcull,
    0x431d67c49c100d4cull, 0x4cc5d4becb3e42b6ull, 0x597f299cfc657e2aull, 0x5fcb6fab3ad6faecull, 0x6c44198c4a475817ull,
};

static uint32_t turn_32(uint32_t value, uint32_t count) { return value >> count | value << (32 - count); }

static uint64_t turn_64(uint64_t value, uint32_t count) { return value >> count | value << (64 - count); }

static void block_256(void *context, const uint8_t *block) {
    uint32_t *state = context;
    uint32_t words[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    size_t index;
    for (index = 0; index < 16; index++) words[index] = read_big_32(block + 4 * index);
    for (; index < 64; index++) {
        uint32_t early = words[index - 15];
        uint32_t late = words[index - 2];
        words[index] = words[index - 16] + (turn_32(early, 7) ^ turn_32(early, 18) ^ early >> 3) + words[index - 7] +
                       (turn_32(late, 17) ^ turn_32(late, 19) ^ late >> 10);
    }
    for (index = 0; index < 64; index++) {
        uint32_t first = h + (turn_32(e, 6) ^ turn_32(e, 11) ^ turn_32(e, 25)) + ((e & f) ^ (~e & g)) +
                         ROUND_256[index] + words[index];
        uint32_t second = (turn_32(a, 2) ^ turn_32(a, 13) ^ turn_32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + second;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void block_512(void *context, const uint8_t *block) {
    uint64_t *state = context;
    uint64_t words[80];
    uint64_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint64_t e = state[4], f = state[5], g = state[6], h = state[7];
    size_t index;
    for (index = 0; index < 16; index++) words[index] = read_big_64(block + 8 * index);
    for (; index < 80; index++) {
        uint64_t early = words[index - 15];
        uint64_t late = words[index - 2];
        words[index] = words[index - 16] + (turn_64(early, 1) ^ turn_64(early, 8) ^ early >> 7) + words[index - 7] +
                       (turn_64(late, 19) ^ turn_64(late, 61) ^ late >> 6);
    }
    for (index = 0; index < 80; index++) {
        uint64_t first = h + (turn_64(e, 14) ^ turn_64(e, 18) ^ turn_64(e, 41)) + ((e & f) ^ (~e & g)) +
                         ROUND_512[index] + words[index];
        uint64_t second = (turn_64(a, 28) ^ turn_64(a, 34) ^ turn_64(a, 39)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + second;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static const BlockHash SHA_256 = {block_256, 64, 8, true};
static const BlockHash SHA_512 = {block_512, 128, 16, true};

static void digest_32(uint32_t state[8], const uint8_t *message, size_t length, uint8_t *digest, size_t words) {
    size_t index;
    run_blocks(&SHA_256, state, message, length);
    for (index = 0; index < words; index++) write_big_32(digest + 4 * index, state[index]);
}

static void digest_64(uint64_t state[8], const uint8_t *message, size_t length, uint8_t *digest, size_t words) {
    size_t index;
    run_blocks(&SHA_512, state, message, length);
    for (index = 0; index < words; index++) write_big_64(digest + 8 * index, state[index]);
}

void hash_sha224(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t state[8] = {
        0xc1059ed8u, 0x367cd507u, 0x3070dd17u, 0xf70e5939u, 0xffc00b31u, 0x68581511u, 0x64f98fa7u, 0xbefa4fa4u,
    };
    digest_32(state, message, length, digest, 7);
}

void hash_sha256(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t state[8] = {
        0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
    };
    digest_32(state, message, length, digest, 8);
}

void hash_sha384(const uint8_t *message, size_t length, uint8_t *digest) {
    uint64_t state[8] = {
        0xcbbb9d5dc1059ed8ull, 0x629a292a367cd507ull, 0x9159015a3070dd17ull, 0x152fecd8f70e5939ull,
        0x67332667ffc00b31ull, 0x8eb44a8768581511ull, 0xdb0c2e0d64f98fa7ull, 0x47b5481dbefa4fa4ull,
    };
    digest_64(state, message, length, digest, 6);
}

void hash_sha512(const uint8_t *message, size_t length, uint8_t *digest) {
    uint64_t state[8] = {
        0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
        0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull,
    };
    digest_64(state, message, length, digest, 8);
}
