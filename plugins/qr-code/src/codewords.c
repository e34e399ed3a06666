/* From text to codewords: modes, versions, error correction. */
#include "failure.h"
#include "memory.h"
#include "symbol.h"

/* ISO/IEC 18004, table 9, by level and version. */
static const uint8_t CORRECTION[4][41] = {
    {0,  7,  10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28,
     28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
    {0,  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26,
     26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28},
    {0,  13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30,
     28, 30, 30, 30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
    {0,  17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28,
     30, 24, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30},
};
static const uint8_t BLOCKS[4][41] = {
    {0, 1, 1, 1,  1,  1,  2,  2,  2,  2,  4,  4,  4,  4,  4,  6,  6,  6,  6,  7, 8,
     8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25},
    {0,  1,  1,  1,  2,  2,  4,  4,  4,  5,  5,  5,  8,  9,  9,  10, 10, 11, 13, 14, 16,
     17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49},
    {0,  1,  1,  2,  2,  4,  4,  6,  6,  8,  8,  8,  10, 12, 16, 12, 17, 16, 18, 21, 20,
     23, 23, 25, 27, 29, 34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68},
    {0,  1,  1,  2,  4,  4,  4,  5,  6,  8,  8,  11, 11, 16, 16, 18, 16, 19, 21, 25, 25,
     25, 34, 30, 32, 35, 37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81},
};

typedef struct {
    const char *name;
    uint32_t indicator;
    uint8_t length_bits[3]; /* in versions 1 to 9, 10 to 26 and 27 to 40 */
} Mode;

static const Mode NUMERIC = {"numeric", 1, {10, 12, 14}};
static const Mode ALPHANUMERIC = {"alphanumeric", 2, {9, 11, 13}};
static const Mode BYTES = {"byte", 4, {8, 16, 16}};

Capacity capacity_of(int32_t version, Level level) {
    int32_t modules = (16 * version + 128) * version + 64;
    int32_t alignments = version / 7 + 2;
    Capacity capacity;
    if (version >= 2) modules -= (25 * alignments - 10) * alignments - 55;
    if (version >= 7) modules -= 36;
    capacity.raw = modules / 8;
    capacity.blocks = BLOCKS[level][version];
    capacity.correction = CORRECTION[level][version];
    capacity.data = capacity.raw - capacity.blocks * capacity.correction;
    return capacity;
}

static int32_t alphanumeric_value(char byte) {
    static const char others[] = " $%*+-./:";
    int32_t index;
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'A' && byte <= 'Z') return byte - 'A' + 10;
    for (index = 0; index < 9; index++) {
        if (byte == others[index]) return index + 36;
    }
    return -1;
}

/* The densest mode that fits all of the text. */
static const Mode *mode_of(Text text) {
    const Mode *mode = &NUMERIC;
    size_t index;
    for (index = 0; index < text.length; index++) {
        if (alphanumeric_value(text.bytes[index]) < 0) return &BYTES;
        if (alphanumeric_value(text.bytes[index]) > 9) mode = &ALPHANUMERIC;
    }
    return mode;
}

static size_t payload_bits(const Mode *mode, size_t length) {
    if (mode == &NUMERIC) return length / 3 * 10 + (length % 3 == 0 ? 0 : length % 3 * 3 + 1);
    if (mode == &ALPHANUMERIC) return length / 2 * 11 + length % 2 * 6;
    return length * 8;
}

static uint32_t length_bits(const Mode *mode, int32_t version) {
    return mode->length_bits[version < 10 ? 0 : version < 27 ? 1 : 2];
}

bool choose_version(Text text, Level level, int32_t least_version, Symbol *symbol) {
    const Mode *mode = mode_of(text);
    int32_t version;
    for (version = least_version; version <= 40 && text.length < 10000; version++) {
        size_t needed = 4 + length_bits(mode, version) + payload_bits(mode, text.length);
        if (needed <= (size_t)capacity_of(version, level).data * 8) {
            symbol->version = version;
            symbol->size = 17 + 4 * version;
            symbol->level = level;
            symbol->mode = mode->name;
            return true;
        }
    }
    return fail(
        "the text has %u bytes, too many for a QR code at level %s: shorten it or choose a lower level (L holds at "
        "most 2953 bytes, H 1273)",
        text.length,
        level == LEVEL_LOW        ? "L"
        : level == LEVEL_MEDIUM   ? "M"
        : level == LEVEL_QUARTILE ? "Q"
                                  : "H");
}

typedef struct {
    uint8_t *bytes;
    size_t length; /* bits */
} Bits;

static void put_bits(Bits *bits, uint32_t value, uint32_t count) {
    while (count > 0) {
        count--;
        if ((value >> count & 1) != 0) bits->bytes[bits->length / 8] |= (uint8_t)(0x80 >> bits->length % 8);
        bits->length++;
    }
}

static void put_payload(Bits *bits, const Mode *mode, Text text) {
    size_t group = mode == &NUMERIC ? 3 : mode == &ALPHANUMERIC ? 2 : 1;
    uint32_t base = mode == &NUMERIC ? 10 : 45;
    size_t start;
    for (start = 0; start < text.length; start += group) {
        size_t end = start + group < text.length ? start + group : text.length;
        uint32_t value = 0;
        size_t index;
        if (mode == &BYTES) {
            put_bits(bits, (unsigned char)text.bytes[start], 8);
            continue;
        }
        for (index = start; index < end; index++)
            value = value * base + (uint32_t)alphanumeric_value(text.bytes[index]);
        put_bits(bits, value, (uint32_t)payload_bits(mode, end - start));
    }
}

void write_codewords(Text text, const Symbol *symbol, uint8_t *codewords) {
    size_t room = (size_t)capacity_of(symbol->version, symbol->level).data;
    const Mode *mode = mode_of(text);
    Bits bits = {codewords, 0};
    size_t index;
    memset(codewords, 0, room);
    put_bits(&bits, mode->indicator, 4);
    put_bits(&bits, (uint32_t)text.length, length_bits(mode, symbol->version));
    put_payload(&bits, mode, text);
    bits.length += room * 8 - bits.length < 4 ? room * 8 - bits.length : 4;
    for (index = (bits.length + 7) / 8; index < room; index++) {
        codewords[index] = (index - (bits.length + 7) / 8) % 2 == 0 ? 0xec : 0x11;
    }
}

/* Product in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t field_multiply(uint8_t left, uint8_t right) {
    uint32_t product = 0;
    int32_t bit;
    for (bit = 7; bit >= 0; bit--) {
        product = product << 1 ^ (product >> 7) * 0x11d;
        product ^= (uint32_t)(right >> bit & 1) * left;
    }
    return (uint8_t)product;
}

/* The coefficients of (x - 2^0)(x - 2^1)…, the highest one, which is 1, left out. */
static void make_generator(int32_t degree, uint8_t *generator) {
    uint8_t root = 1;
    int32_t round;
    memset(generator, 0, (size_t)degree);
    generator[degree - 1] = 1;
    for (round = 0; round < degree; round++) {
        int32_t index;
        for (index = 0; index < degree; index++) {
            generator[index] = field_multiply(generator[index], root);
            if (index + 1 < degree) generator[index] ^= generator[index + 1];
        }
        root = field_multiply(root, 2);
    }
}

static void divide(const uint8_t *data, int32_t length, const uint8_t *generator, int32_t degree, uint8_t *remainder) {
    int32_t index;
    memset(remainder, 0, (size_t)degree);
    for (index = 0; index < length; index++) {
        uint8_t factor = data[index] ^ remainder[0];
        int32_t place;
        for (place = 0; place < degree; place++) {
            uint8_t next = place + 1 < degree ? remainder[place + 1] : 0;
            remainder[place] = next ^ field_multiply(generator[place], factor);
        }
    }
}

/* Blocks are of two lengths, the shorter ones first; their codewords are dealt out in turn, data before correction. */
void add_correction(const Capacity *capacity, const uint8_t *data, uint8_t *result) {
    uint8_t generator[30];
    uint8_t remainder[30];
    int32_t blocks = capacity->blocks;
    int32_t shorter = capacity->data / blocks;
    int32_t shorter_blocks = blocks - capacity->data % blocks;
    int32_t block;
    make_generator(capacity->correction, generator);
    for (block = 0; block < blocks; block++) {
        int32_t length = shorter + (block >= shorter_blocks);
        int32_t index;
        for (index = 0; index < length; index++) {
            int32_t column = index * blocks + block - (index == shorter ? shorter_blocks : 0);
            result[column] = data[index];
        }
        divide(data, length, generator, capacity->correction, remainder);
        for (index = 0; index < capacity->correction; index++) {
            result[capacity->data + index * blocks + block] = remainder[index];
        }
        data += length;
    }
}
