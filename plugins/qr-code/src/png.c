#include "png.h"

#include "failure.h"
#include "memory.h"

#define LONGEST_MATCH 258
#define SHORTEST_MATCH 3

typedef struct {
    Buffer *buffer;
    uint32_t held;
    uint32_t count;
} BitWriter;

static void put_bits(BitWriter *writer, uint32_t value, uint32_t count) {
    writer->held |= value << writer->count;
    writer->count += count;
    for (; writer->count >= 8; writer->count -= 8, writer->held >>= 8) {
        buffer_append_byte(writer->buffer, (char)writer->held);
    }
}

/* Huffman codes are written from their highest bit on. */
static void put_code(BitWriter *writer, uint32_t code, uint32_t count) {
    uint32_t reversed = 0;
    uint32_t bit;
    for (bit = 0; bit < count; bit++) reversed |= (code >> bit & 1) << (count - 1 - bit);
    put_bits(writer, reversed, count);
}

/* The fixed codes of RFC 1951, section 3.2.6. */
static void put_symbol(BitWriter *writer, uint32_t symbol) {
    if (symbol < 144)
        put_code(writer, 0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(writer, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(writer, symbol - 256, 7);
    else
        put_code(writer, 0xc0 + symbol - 280, 8);
}

static void put_length(BitWriter *writer, uint32_t length) {
    uint32_t extra = 0;
    uint32_t above = length - 3;
    if (length == LONGEST_MATCH) {
        put_symbol(writer, 285);
        return;
    }
    while (above >> extra >= 8) extra++;
    put_symbol(writer, 257 + extra * 4 + (above >> extra));
    put_bits(writer, above & ((1u << extra) - 1), extra);
}

static void put_distance(BitWriter *writer, uint32_t distance) {
    uint32_t extra = 0;
    uint32_t above = distance - 1;
    while (above >> extra >= 4) extra++;
    put_code(writer, extra * 2 + (above >> extra), 5);
    put_bits(writer, above & ((1u << extra) - 1), extra);
}

static uint32_t match_length(const uint8_t *data, size_t position, size_t end, size_t distance) {
    uint32_t length = 0;
    if (distance > position) return 0;
    while (length < LONGEST_MATCH && position + length < end &&
           data[position + length] == data[position + length - distance]) {
        length++;
    }
    return length;
}

/* Only two distances are tried, the byte before and the row above: in such an image nothing else pays. */
static void deflate(const uint8_t *data, size_t length, size_t stride, Buffer *buffer) {
    BitWriter writer = {buffer, 0, 0};
    size_t position = 0;
    put_bits(&writer, 3, 3); /* the last block, with fixed codes */
    while (position < length) {
        uint32_t above = match_length(data, position, length, stride);
        uint32_t before = match_length(data, position, length, 1);
        uint32_t longer = above > before ? above : before;
        if (longer < SHORTEST_MATCH) {
            put_symbol(&writer, data[position++]);
        } else {
            put_length(&writer, longer);
            put_distance(&writer, above >= before ? (uint32_t)stride : 1);
            position += longer;
        }
    }
    put_symbol(&writer, 256);
    put_bits(&writer, 0, 7); /* fills the last byte */
}

static void put_big_32(Buffer *buffer, uint32_t value) {
    int32_t shift;
    for (shift = 24; shift >= 0; shift -= 8) buffer_append_byte(buffer, (char)(value >> shift));
}

static uint32_t adler32(const uint8_t *data, size_t length) {
    uint32_t sum = 1;
    uint32_t sums = 0;
    for (; length > 0; length--) {
        sum = (sum + *data++) % 65521;
        sums = (sums + sum) % 65521;
    }
    return sums << 16 | sum;
}

static uint32_t crc32(Text data) {
    uint32_t remainder = 0xffffffffu;
    size_t index;
    for (index = 0; index < data.length; index++) {
        uint32_t bit;
        remainder ^= (unsigned char)data.bytes[index];
        for (bit = 0; bit < 8; bit++) remainder = remainder >> 1 ^ (remainder & 1 ? 0xedb88320u : 0);
    }
    return ~remainder;
}

static void put_chunk(Buffer *png, const char *type, Text data) {
    size_t start;
    put_big_32(png, data.length);
    start = png->length;
    buffer_append_string(png, type);
    buffer_append(png, data);
    if (!failed()) put_big_32(png, crc32(text_slice(buffer_text(png), start, png->length)));
}

/* Each row is a filter byte, 0 for none, and one bit for each pixel, 1 for light. */
static uint8_t *draw_rows(const Symbol *symbol, int32_t scale, int32_t border, size_t stride) {
    int32_t pixels = (symbol->size + 2 * border) * scale;
    uint8_t *rows = arena_allocate_zeroed((size_t)pixels, stride);
    int32_t row;
    int32_t column;
    if (rows == NULL) return NULL;
    for (row = 0; row < pixels; row++) {
        uint8_t *bits = rows + (size_t)row * stride + 1;
        int32_t y = row / scale - border;
        for (column = 0; column < pixels; column++) {
            int32_t x = column / scale - border;
            bool dark = x >= 0 && x < symbol->size && y >= 0 && y < symbol->size && symbol->dark[y][x];
            if (!dark) bits[column / 8] |= (uint8_t)(0x80 >> column % 8);
        }
    }
    return rows;
}

void write_png(const Symbol *symbol, int32_t scale, int32_t border, Buffer *png) {
    uint32_t pixels = (uint32_t)((symbol->size + 2 * border) * scale);
    size_t stride = 1 + (pixels + 7) / 8;
    uint8_t *rows = draw_rows(symbol, scale, border, stride);
    Buffer header = {0};
    Buffer data = {0};
    if (rows == NULL) return;
    put_big_32(&header, pixels);
    put_big_32(&header, pixels);
    buffer_append(&header, TEXT("\x01\x00\x00\x00\x00")); /* one bit, grey, no interlace */
    buffer_append(&data, TEXT("\x78\x01"));
    deflate(rows, pixels * stride, stride, &data);
    put_big_32(&data, adler32(rows, pixels * stride));
    buffer_append(png, TEXT("\x89PNG\r\n\x1a\n"));
    put_chunk(png, "IHDR", buffer_text(&header));
    put_chunk(png, "IDAT", buffer_text(&data));
    put_chunk(png, "IEND", TEXT(""));
}
