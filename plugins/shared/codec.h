/* Bytes as text and back: hexadecimal, base32 and base64 (RFC 4648), all strict. */
#ifndef SHARED_CODEC_H
#define SHARED_CODEC_H

#include "text.h"

typedef struct {
    const char *name;
    const char *alphabet;
    uint32_t bits;   /* that one character carries */
    size_t group;    /* characters that padding fills up; 1 where there is none */
    bool folds_case; /* whether letters of the other case are read as well */
} Codec;

extern const Codec codec_hexadecimal;
extern const Codec codec_base32;
extern const Codec codec_base32_hex;
extern const Codec codec_base64;
extern const Codec codec_base64_url;

void codec_encode(const Codec *codec, Text data, bool pad, Buffer *result);

/* Decodes; blanks and line breaks between characters are skipped, padding may be missing but not wrong. On an error
 * records a failure that calls the text `what` and says which character it was. */
bool codec_decode(const Codec *codec, Text encoded, const char *what, Buffer *result);

#endif
