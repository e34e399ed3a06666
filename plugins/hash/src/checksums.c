/* CRC-32 (ISO 3309, polynomial edb88320 reflected) and Adler-32 (RFC 1950). */
#include "blocks.h"

void hash_crc32(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t table[256];
    uint32_t remainder = 0xffffffffu;
    uint32_t index;
    for (index = 0; index < 256; index++) {
        uint32_t value = index;
        uint32_t bit;
        for (bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        table[index] = value;
    }
    for (; length > 0; length--) remainder = remainder >> 8 ^ table[(remainder ^ *message++) & 0xff];
    write_big_32(digest, ~remainder);
}

void hash_adler32(const uint8_t *message, size_t length, uint8_t *digest) {
    uint32_t sum = 1;
    uint32_t sum_of_sums = 0;
    for (; length > 0; length--) {
        sum = (sum + *message++) % 65521;
        sum_of_sums = (sum_of_sums + sum) % 65521;
    }
    write_big_32(digest, sum_of_sums << 16 | sum);
}
