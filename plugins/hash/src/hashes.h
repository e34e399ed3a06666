/* The hash functions themselves, each over a whole message at once. */
#ifndef HASHES_H
#define HASHES_H

#include <stddef.h>
#include <stdint.h>

/* Writes the digest; its length is the function's own (see HASHES in hash.c). */
typedef void HashFunction(const uint8_t *message, size_t length, uint8_t *digest);

HashFunction hash_md5;      /* RFC 1321, 16 bytes */
HashFunction hash_sha1;     /* FIPS 180-4, 20 bytes */
HashFunction hash_sha224;   /* FIPS 180-4, 28 bytes */
HashFunction hash_sha256;   /* FIPS 180-4, 32 bytes */
HashFunction hash_sha384;   /* FIPS 180-4, 48 bytes */
HashFunction hash_sha512;   /* FIPS 180-4, 64 bytes */
HashFunction hash_sha3_256; /* FIPS 202, 32 bytes */
HashFunction hash_sha3_512; /* FIPS 202, 64 bytes */
HashFunction hash_blake2b;  /* RFC 7693, unkeyed, 64 bytes */
HashFunction hash_crc32;    /* ISO 3309, as in zip and PNG; 4 bytes, most significant first */
HashFunction hash_adler32;  /* RFC 1950; 4 bytes, most significant first */

#endif
