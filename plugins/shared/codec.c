#include "codec.h"

#include "failure.h"
#include "memory.h"

const Codec codec_hexadecimal = {"hex", "0123456789abcdef", 4, 1, true};
const Codec codec_base32 = {"base32", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, 8, true};
const Codec codec_base32_hex = {"base32hex", "0123456789ABCDEFGHIJKLMNOPQRSTUV", 5, 8, true};
const Codec codec_base64 = {"base64", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6, 4, false};
const Codec codec_base64_url = {"base64url", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6, 4,
                                false};

#define NO_DIGIT 0xff

void codec_encode(const Codec *codec, Text data, bool pad, Buffer *result) {
    size_t characters = (data.length * 8 + codec->bits - 1) / codec->bits;
    size_t padding = pad ? (codec->group - characters % codec->group) % codec->group : 0;
    uint32_t mask = (1u << codec->bits) - 1;
    uint32_t held = 0;
    uint32_t held_bits = 0;
    size_t index;
    char *out = buffer_reserve(result, characters + padding);
    if (out == NULL) return;
    for (index = 0; index < data.length; index++) {
        held = held << 8 | (unsigned char)data.bytes[index];
        held_bits += 8;
        while (held_bits >= codec->bits) {
            held_bits -= codec->bits;
            *out++ = codec->alphabet[held >> held_bits & mask];
        }
    }
    if (held_bits > 0) *out++ = codec->alphabet[held << (codec->bits - held_bits) & mask];
    for (; padding > 0; padding--) *out++ = '=';
}

static void digit_table(const Codec *codec, unsigned char table[256]) {
    size_t value;
    memset(table, NO_DIGIT, 256);
    for (value = 0; value < (size_t)1 << codec->bits; value++) {
        unsigned char character = (unsigned char)codec->alphabet[value];
        table[character] = (unsigned char)value;
        if (codec->folds_case && (character | 0x20) >= 'a' && (character | 0x20) <= 'z') {
            table[character ^ 0x20] = (unsigned char)value;
        }
    }
}

static bool check_end(const Codec *codec, size_t characters, size_t padding, uint32_t left_over, uint32_t bits,
                      const char *what) {
    if (padding > 0 && (codec->group == 1 || (characters + padding) % codec->group != 0 || padding >= codec->group)) {
        return fail("%s is not valid %s: it has %u padding characters '=' after %u others", what, codec->name, padding,
                    characters);
    }
    if (bits >= codec->bits) {
        return fail("%s is not valid %s: %u characters are no whole number of bytes; is its end missing?", what,
                    codec->name, characters);
    }
    if (left_over != 0) {
        return fail("%s is not valid %s: its last character carries bits that no encoder writes; is its end missing?",
                    what, codec->name);
    }
    return true;
}

bool codec_decode(const Codec *codec, Text encoded, const char *what, Buffer *result) {
    unsigned char table[256];
    uint32_t held = 0;
    uint32_t held_bits = 0;
    size_t characters = 0;
    size_t padding = 0;
    size_t index;
    digit_table(codec, table);
    for (index = 0; index < encoded.length; index++) {
        unsigned char character = (unsigned char)encoded.bytes[index];
        if (character == ' ' || (character >= '\t' && character <= '\r')) continue;
        if (character == '=' && codec->group > 1) {
            padding++;
            continue;
        }
        if (table[character] == NO_DIGIT || padding > 0) {
            size_t end = index + 1;
            while (end < encoded.length && ((unsigned char)encoded.bytes[end] & 0xc0) == 0x80) end++;
            return fail("%s is not valid %s: unexpected %T at character %u", what, codec->name,
                        text_slice(encoded, index, end), utf8_count(text_slice(encoded, 0, index)) + 1);
        }
        held = (held & 0xff) << codec->bits | table[character];
        held_bits += codec->bits;
        characters++;
        if (held_bits >= 8) {
            held_bits -= 8;
            buffer_append_byte(result, (char)(held >> held_bits));
        }
    }
    return check_end(codec, characters, padding, held & ((1u << held_bits) - 1), held_bits, what) && !failed();
}
