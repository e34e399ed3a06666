#include "times.h"

#include "failure.h"

#define DAY_SECONDS 86400

typedef struct {
    Text text;
    size_t position;
} Reader;

static bool take(Reader *reader, char byte) {
    if (reader->position >= reader->text.length || reader->text.bytes[reader->position] != byte) return false;
    reader->position++;
    return true;
}

static bool take_digit(Reader *reader, int32_t *digit) {
    char byte = reader->position < reader->text.length ? reader->text.bytes[reader->position] : '\0';
    if (byte < '0' || byte > '9') return false;
    *digit = byte - '0';
    reader->position++;
    return true;
}

static bool take_two(Reader *reader, int32_t most, int32_t *value) {
    int32_t tens;
    int32_t ones;
    if (!take_digit(reader, &tens) || !take_digit(reader, &ones)) return false;
    *value = tens * 10 + ones;
    return *value <= most;
}

/* Digits after the nanoseconds are cut off. */
static bool take_fraction(Reader *reader, int32_t *nanoseconds) {
    int32_t unit = 100000000;
    int32_t digit;
    *nanoseconds = 0;
    if (!take(reader, '.') && !take(reader, ',')) return true;
    if (!take_digit(reader, &digit)) return false;
    do {
        *nanoseconds += digit * unit;
        unit /= 10;
    } while (take_digit(reader, &digit));
    return true;
}

static bool take_offset(Reader *reader, int32_t *offset) {
    bool negative;
    int32_t hours;
    int32_t minutes;
    *offset = 0;
    if (take(reader, 'Z') || take(reader, 'z')) return true;
    negative = take(reader, '-');
    if ((!negative && !take(reader, '+')) || !take_two(reader, 23, &hours) || !take(reader, ':') ||
        !take_two(reader, 59, &minutes)) {
        return false;
    }
    *offset = (hours * 60 + minutes) * (negative ? -1 : 1);
    return true;
}

bool parse_offset(Text text, const char *what, int32_t *offset) {
    Reader reader = {text, 0};
    if (take_offset(&reader, offset) && reader.position == text.length) return true;
    return fail("%s is %T, which is not an offset from UTC: write Z, +05:30 or -08:00", what, text);
}

bool parse_time(Text text, const char *what, Instant *instant, int32_t *offset) {
    Reader reader = {text, 10};
    int32_t hour;
    int32_t minute;
    int32_t second;
    Day day;
    if (text.length < 11) return fail("%s is %T, which is not a time: write 2026-11-22T17:05:00Z", what, text);
    if (!parse_date(text_slice(text, 0, 10), what, &day)) return false;
    if ((!take(&reader, 'T') && !take(&reader, 't') && !take(&reader, ' ')) || !take_two(&reader, 23, &hour) ||
        !take(&reader, ':') || !take_two(&reader, 59, &minute) || !take(&reader, ':') ||
        !take_two(&reader, 60, &second) || !take_fraction(&reader, &instant->nanoseconds) ||
        !take_offset(&reader, offset) || reader.position != text.length) {
        return fail(
            "%s is %T, which is not a time of RFC 3339 with an offset: write 2026-11-22T17:05:00Z or "
            "2026-11-22T17:05:00.5+01:00",
            what, text);
    }
    instant->seconds = (int64_t)day * DAY_SECONDS + hour * 3600 + minute * 60 + second - (int64_t)*offset * 60;
    return true;
}

static int64_t floor_days(int64_t seconds) { return seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0); }

bool time_in_range(Instant instant, int32_t offset) { return day_in_range(floor_days(instant.seconds + offset * 60)); }

Day day_at(Instant instant, int32_t offset) { return (Day)floor_days(instant.seconds + offset * 60); }

void write_fraction(Buffer *buffer, int32_t nanoseconds) {
    size_t width = 9;
    if (nanoseconds == 0) return;
    for (; nanoseconds % 10 == 0; nanoseconds /= 10) width--;
    buffer_append_byte(buffer, '.');
    buffer_append_padded(buffer, (uint64_t)nanoseconds, width);
}

static void write_two(Buffer *buffer, char before, int32_t value) {
    buffer_append_byte(buffer, before);
    buffer_append_padded(buffer, (uint64_t)value, 2);
}

void write_time(Buffer *buffer, Instant instant, int32_t offset) {
    int64_t local = instant.seconds + offset * 60;
    Day day = day_at(instant, offset);
    int32_t second = (int32_t)(local - (int64_t)day * DAY_SECONDS);
    int32_t size = offset < 0 ? -offset : offset;
    write_date(buffer, day);
    write_two(buffer, 'T', second / 3600);
    write_two(buffer, ':', second / 60 % 60);
    write_two(buffer, ':', second % 60);
    write_fraction(buffer, instant.nanoseconds);
    if (offset == 0) {
        buffer_append_byte(buffer, 'Z');
    } else {
        write_two(buffer, offset < 0 ? '-' : '+', size / 60);
        write_two(buffer, ':', size % 60);
    }
}

static void write_part(Buffer *buffer, int64_t value, char unit) {
    if (value == 0) return;
    buffer_append_signed(buffer, value);
    buffer_append_byte(buffer, unit);
}

void write_duration(Buffer *buffer, int64_t seconds, int32_t nanoseconds, bool negative) {
    int64_t rest = seconds % DAY_SECONDS;
    if (negative) buffer_append_byte(buffer, '-');
    buffer_append_byte(buffer, 'P');
    write_part(buffer, seconds / DAY_SECONDS, 'D');
    if (rest == 0 && nanoseconds == 0 && seconds != 0) return;
    buffer_append_byte(buffer, 'T');
    write_part(buffer, rest / 3600, 'H');
    write_part(buffer, rest / 60 % 60, 'M');
    if (rest % 60 != 0 || nanoseconds != 0 || seconds == 0) {
        buffer_append_signed(buffer, rest % 60);
        write_fraction(buffer, nanoseconds);
        buffer_append_byte(buffer, 'S');
    }
}

/* One number with its unit, which must come after the units before it. */
static bool take_part(Reader *reader, size_t *unit, bool *in_time, int64_t *seconds, int32_t *nanoseconds) {
    static const char units[] = "WDHMS";
    static const int32_t sizes[] = {7 * DAY_SECONDS, DAY_SECONDS, 3600, 60, 1};
    int64_t value = 0;
    int32_t digit;
    if (!*in_time) *in_time = take(reader, 'T');
    if (*in_time && *unit < 2) *unit = 2;
    if (!take_digit(reader, &digit)) return false;
    do {
        value = value * 10 + digit;
        if (value > 1000000000000) return false;
    } while (take_digit(reader, &digit));
    if (!take_fraction(reader, nanoseconds)) return false;
    for (; *unit < 5; ++*unit) {
        if (take(reader, units[*unit])) {
            *seconds += value * sizes[*unit];
            return *in_time == (*unit >= 2) && (++*unit == 5 || *nanoseconds == 0);
        }
    }
    return false;
}

bool parse_duration(Text text, const char *what, int64_t *seconds, int32_t *nanoseconds) {
    Reader reader = {text, 0};
    bool negative = take(&reader, '-');
    bool in_time = false;
    bool valid = take(&reader, 'P') && reader.position < text.length;
    size_t unit = 0;
    *seconds = 0;
    *nanoseconds = 0;
    while (valid && reader.position < text.length) valid = take_part(&reader, &unit, &in_time, seconds, nanoseconds);
    if (!valid) {
        return fail(
            "%s is %T, which is not a duration of weeks, days, hours, minutes and seconds: write PT90M, P1DT12H "
            "or -PT0.5S (months and years have no fixed length: use 'add' for them)",
            what, text);
    }
    if (*seconds > 400000000000) return fail("%s is %T, which is longer than ten thousand years", what, text);
    if (negative) *seconds = -*seconds;
    if (negative && *nanoseconds != 0) {
        *seconds -= 1;
        *nanoseconds = 1000000000 - *nanoseconds;
    }
    return true;
}
