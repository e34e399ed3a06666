/* What hash functions that work block by block have in common: byte order, padding, and the loop. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>

#include "hashes.h"

typedef struct {
    void (*block)(void *state, const uint8_t *block);
    size_t block_length;  /* bytes */
    size_t length_length; /* bytes of the message's length in bits, at the end of the last block */
    bool big_endian;
} BlockHash;

/* Runs all blocks of a message, the padding of Merkle and Damgård included. */
void run_blocks(const BlockHash *hash, void *state, const uint8_t *message, size_t length);

uint32_t read_big_32(const uint8_t *bytes);
uint64_t read_big_64(const uint8_t *bytes);
uint32_t read_little_32(const uint8_t *bytes);
uint64_t read_little_64(const uint8_t *bytes);
void write_big_32(uint8_t *bytes, uint32_t value);
void write_big_64(uint8_t *bytes, uint64_t value);
void write_little_32(uint8_t *bytes, uint32_t value);

#endif
