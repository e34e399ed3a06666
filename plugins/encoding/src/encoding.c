/* Encode bytes as text and decode them, strictly: RFC 4648 alphabets and the percent encoding of RFC 3986. */
#include "tool.h"

#define PERCENT 5

static const char *const FORMATS[] = {"base64", "base64url", "base32", "base32hex", "hex", "percent"};
static const Codec *const CODECS[] = {&codec_base64, &codec_base64_url, &codec_base32, &codec_base32_hex,
                                      &codec_hexadecimal};

static bool is_unreserved(unsigned char byte) {
    unsigned char lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' ||
           byte == '_' || byte == '~';
}

static bool contains(Text set, char byte) {
    size_t index;
    for (index = 0; index < set.length; index++) {
        if (set.bytes[index] == byte) return true;
    }
    return false;
}

static void percent_encode(Text data, Text keep, Buffer *result) {
    static const char digits[] = "0123456789ABCDEF";
    size_t index;
    for (index = 0; index < data.length; index++) {
        unsigned char byte = (unsigned char)data.bytes[index];
        if (is_unreserved(byte) || (byte != '%' && byte < 0x80 && contains(keep, (char)byte))) {
            buffer_append_byte(result, (char)byte);
        } else {
            buffer_append_byte(result, '%');
            buffer_append_byte(result, digits[byte >> 4]);
            buffer_append_byte(result, digits[byte & 15]);
        }
    }
}

static int32_t hexadecimal_digit(Text text, size_t index) {
    unsigned char byte = index < text.length ? (unsigned char)text.bytes[index] : 0;
    unsigned char lower = byte | 0x20;
    if (byte >= '0' && byte <= '9') return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool percent_decode(Text encoded, bool plus_is_space, Buffer *result) {
    size_t index;
    for (index = 0; index < encoded.length; index++) {
        char byte = encoded.bytes[index];
        if (byte == '%') {
            int32_t high = hexadecimal_digit(encoded, index + 1);
            int32_t low = hexadecimal_digit(encoded, index + 2);
            if (high < 0 || low < 0) {
                return fail(
                    "encoded is not valid percent encoding: '%%' without two hexadecimal digits at character %u",
                    utf8_count(text_slice(encoded, 0, index)) + 1);
            }
            byte = (char)(high << 4 | low);
            index += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        buffer_append_byte(result, byte);
    }
    return !failed();
}

static void encode(Tool *tool) {
    Buffer encoded = {0};
    Text data;
    Text keep;
    bool pad;
    size_t format;
    if (!tool_bytes(tool, "data", "data_format", &data) || !tool_choice(tool, "to", FORMATS, 6, -1, &format) ||
        !tool_boolean_or(tool, "padding", true, &pad) || !tool_text_or(tool, "keep", TEXT(""), &keep)) {
        return;
    }
    if (format == PERCENT) {
        percent_encode(data, keep, &encoded);
    } else {
        codec_encode(CODECS[format], data, pad, &encoded);
    }
    json_put_text(&tool->result, "encoded", buffer_text(&encoded));
    json_put_integer(&tool->result, "bytes", (int64_t)data.length);
}

static void put_decoded(Tool *tool, Text data, size_t output) {
    Buffer text = {0};
    size_t error_at;
    if (output == 0 && !utf8_valid(data, &error_at)) {
        fail(
            "the decoded bytes are no UTF-8 text (byte %u of %u breaks it): ask for them with output 'hex' or 'base64'",
            error_at + 1, data.length);
        return;
    }
    if (output != 0) codec_encode(output == 1 ? &codec_hexadecimal : &codec_base64, data, true, &text);
    json_put_text(&tool->result, "data", output == 0 ? data : buffer_text(&text));
    json_put_integer(&tool->result, "bytes", (int64_t)data.length);
}

static void decode(Tool *tool) {
    static const char *const outputs[] = {"text", "hex", "base64"};
    Buffer decoded = {0};
    Text encoded;
    bool plus_is_space;
    size_t format;
    size_t output;
    if (!tool_text(tool, "encoded", &encoded) || !tool_choice(tool, "from", FORMATS, 6, -1, &format) ||
        !tool_choice(tool, "output", outputs, 3, 0, &output) ||
        !tool_boolean_or(tool, "plus_is_space", false, &plus_is_space)) {
        return;
    }
    if (format == PERCENT ? percent_decode(encoded, plus_is_space, &decoded)
                          : codec_decode(CODECS[format], encoded, "encoded", &decoded)) {
        put_decoded(tool, buffer_text(&decoded), output);
    }
}

EXTISM_EXPORT("encode") int32_t tool_encode(void) { return tool_run(encode); }
EXTISM_EXPORT("decode") int32_t tool_decode(void) { return tool_run(decode); }
