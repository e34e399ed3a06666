#include "memory.h"

#include "failure.h"

#define WASM_PAGE ((size_t)65536)
#define GROWTH ((size_t)1 << 20)

extern unsigned char __heap_base;

static size_t arena_top;

static size_t arena_base(void) { return ((size_t)&__heap_base + 7) & ~(size_t)7; }

void arena_reset(void) { arena_top = arena_base(); }

size_t arena_mark(void) { return arena_top; }

void arena_release(size_t mark) { arena_top = mark; }

static bool make_room(size_t end) {
    size_t have = __builtin_wasm_memory_size(0) * WASM_PAGE;
    size_t pages;
    if (end <= have) return true;
    pages = (end - have + GROWTH - 1) / GROWTH * (GROWTH / WASM_PAGE);
    return __builtin_wasm_memory_grow(0, pages) != (size_t)-1;
}

void *arena_allocate(size_t size) {
    size_t start = arena_top;
    size_t rounded = (size + 7) & ~(size_t)7;
    if (size > ARENA_CAPACITY || start - arena_base() + rounded > ARENA_CAPACITY || !make_room(start + rounded)) {
        fail("this needs more than the %u MiB of memory that one call has: send less at a time", ARENA_CAPACITY >> 20);
        return NULL;
    }
    arena_top = start + rounded;
    return (void *)start;
}

void *arena_allocate_zeroed(size_t count, size_t size) {
    void *block = arena_allocate(size != 0 && count > ARENA_CAPACITY / size ? ARENA_CAPACITY + 1 : count * size);
    if (block != NULL) memset(block, 0, count * size);
    return block;
}

void *arena_extend(void *block, size_t old_size, size_t new_size) {
    void *larger;
    size_t rounded = (old_size + 7) & ~(size_t)7;
    if (block != NULL && (size_t)block + rounded == arena_top) {
        arena_top = (size_t)block;
        larger = arena_allocate(new_size);
        if (larger == NULL) arena_top = (size_t)block + rounded;
        return larger;
    }
    larger = arena_allocate(new_size);
    if (larger != NULL && old_size != 0) memcpy(larger, block, old_size);
    return larger;
}

/* With bulk memory operations (-mbulk-memory) the built-ins below are single instructions, not calls. */
void *memcpy(void *restrict target, const void *restrict source, size_t length) {
    return __builtin_memcpy(target, source, length);
}

void *memmove(void *target, const void *source, size_t length) { return __builtin_memmove(target, source, length); }

void *memset(void *target, int value, size_t length) { return __builtin_memset(target, value, length); }

int memcmp(const void *left, const void *right, size_t length) {
    const unsigned char *first = left;
    const unsigned char *second = right;
    size_t index;
    for (index = 0; index < length; index++) {
        if (first[index] != second[index]) return first[index] < second[index] ? -1 : 1;
    }
    return 0;
}
