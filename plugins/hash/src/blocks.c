#include "blocks.h"

void run_blocks(const BlockHash *hash, void *state, const uint8_t *message, size_t length) {
    uint8_t last[256] = {0};
    uint64_t bits = (uint64_t)length * 8;
    size_t tail;
    size_t end;
    size_t index;
    for (tail = length; tail >= hash->block_length; tail -= hash->block_length, message += hash->block_length) {
        hash->block(state, message);
    }
    for (index = 0; index < tail; index++) last[index] = message[index];
    last[tail] = 0x80;
    end = tail + 1 + hash->length_length > hash->block_length ? 2 * hash->block_length : hash->block_length;
    for (index = 0; index < 8; index++) {
        size_t place = hash->big_endian ? end - 1 - index : end - hash->length_length + index;
        last[place] = (uint8_t)(bits >> 8 * index);
    }
    for (index = 0; index < end; index += hash->block_length) hash->block(state, last + index);
}

uint32_t read_big_32(const uint8_t *bytes) { return __builtin_bswap32(read_little_32(bytes)); }

uint64_t read_big_64(const uint8_t *bytes) { return __builtin_bswap64(read_little_64(bytes)); }

uint32_t read_little_32(const uint8_t *bytes) {
    uint32_t value;
    __builtin_memcpy(&value, bytes, sizeof value);
    return value;
}

uint64_t read_little_64(const uint8_t *bytes) {
    uint64_t value;
    __builtin_memcpy(&value, bytes, sizeof value);
    return value;
}

void write_little_32(uint8_t *bytes, uint32_t value) { __builtin_memcpy(bytes, &value, sizeof value); }

void write_big_32(uint8_t *bytes, uint32_t value) { write_little_32(bytes, __builtin_bswap32(value)); }

void write_big_64(uint8_t *bytes, uint64_t value) {
    uint64_t swapped = __builtin_bswap64(value);
    __builtin_memcpy(bytes, &swapped, sizeof swapped);
}
