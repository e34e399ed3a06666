/* Primality and factorisation of 64-bit numbers. */
#ifndef FACTORS_H
#define FACTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deterministic Miller-Rabin: for numbers below 2^64 the first twelve primes decide (Sorenson and Webster, 2015). */
bool is_prime(uint64_t number);

/* The prime factors in rising order, with repetition; at most 63. Returns how many there are; none for 0 and 1. */
size_t factorize(uint64_t number, uint64_t factors[64]);

#endif
