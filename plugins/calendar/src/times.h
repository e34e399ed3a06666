/* Points in time as RFC 3339 spells them. */
#ifndef TIMES_H
#define TIMES_H

#include "dates.h"

typedef struct {
    int64_t seconds;     /* since 1970-01-01T00:00:00Z, leap seconds not counted */
    int32_t nanoseconds; /* 0 to 999,999,999 */
} Instant;

/* Reads `2026-11-22T17:05:00.25+01:00`; a blank may stand for the T. A leap second, :60, is read as the second after
 * it. `*offset` becomes the offset in minutes. Records a failure that calls the text `what`. */
bool parse_time(Text text, const char *what, Instant *instant, int32_t *offset);
/* Reads `Z`, `+05:30` or `-08:00`. */
bool parse_offset(Text text, const char *what, int32_t *offset);
/* Writes with as many decimals of the second as needed. */
void write_time(Buffer *buffer, Instant instant, int32_t offset);
/* Whether the local date at that offset lies within the years 0001 to 9999. */
bool time_in_range(Instant instant, int32_t offset);
/* The local date. */
Day day_at(Instant instant, int32_t offset);
/* Writes an ISO 8601 duration of days, hours, minutes and seconds, such as `-P1DT2H0.5S`. */
void write_duration(Buffer *buffer, int64_t seconds, int32_t nanoseconds, bool negative);
/* Reads a duration of weeks, days, hours, minutes and seconds: `PT90M`, `P1DT12H`, `-PT0.5S`. */
bool parse_duration(Text text, const char *what, int64_t *seconds, int32_t *nanoseconds);
/* Writes `.25` for 250,000,000, nothing for 0. */
void write_fraction(Buffer *buffer, int32_t nanoseconds);

#endif
