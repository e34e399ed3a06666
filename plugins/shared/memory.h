/* Memory of one call: an arena that grows with the module's linear memory and is emptied when the next call begins. */
#ifndef SHARED_MEMORY_H
#define SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes the arena holds. With input, output and stack this stays below the 64 MiB the manifests ask for. */
#define ARENA_CAPACITY ((size_t)48 << 20)

/* Makes the arena empty. */
void arena_reset(void);

/* Memory aligned to 8 bytes, not zeroed. NULL, with the call's failure set, where the arena is full. */
void *arena_allocate(size_t size);

/* The same for `count` items of `size` bytes each, zeroed; refuses products that overflow. */
void *arena_allocate_zeroed(size_t count, size_t size);

/* Makes a block longer, in place where it is the newest one, else by copying it. */
void *arena_extend(void *block, size_t old_size, size_t new_size);

/* A point to return to: `arena_release` gives back everything allocated after `arena_mark`. */
size_t arena_mark(void);
void arena_release(size_t mark);

/* What the compiler calls for block operations; there is no C library here. */
void *memcpy(void *restrict target, const void *restrict source, size_t length);
void *memmove(void *target, const void *source, size_t length);
void *memset(void *target, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);

#endif
