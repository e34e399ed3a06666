/* The proleptic Gregorian calendar from 0001-01-01 to 9999-12-31, as in ISO 8601. */
#ifndef DATES_H
#define DATES_H

#include "text.h"

/* Days since 1970-01-01. */
typedef int32_t Day;

#define FIRST_DAY ((Day) - 719162) /* 0001-01-01 */
#define LAST_DAY ((Day)2932896)    /* 9999-12-31 */

typedef struct {
    int32_t year;
    int32_t month; /* 1 to 12 */
    int32_t day;   /* 1 to 31 */
} Date;

typedef struct {
    int32_t year;
    int32_t week; /* 1 to 53 */
} IsoWeek;

bool is_leap_year(int32_t year);
int32_t days_in_month(int32_t year, int32_t month);
Day day_of(Date date);
Date date_of(Day day);
/* 1 for Monday to 7 for Sunday. */
int32_t weekday_of(Day day);
IsoWeek iso_week_of(Day day);
/* Adds months; a day that the month does not have becomes its last one. False where the result is out of range. */
bool add_months(Date date, int64_t months, Date *result);
/* Whole months from one date to a later one, in the sense of `add_months`. */
int32_t months_between(Date from, Date to);
bool day_in_range(int64_t day);

extern const char *const WEEKDAYS[7]; /* "monday" … */

/* Reads YYYY-MM-DD; records a failure that calls the text `what`. */
bool parse_date(Text text, const char *what, Day *day);
void write_date(Buffer *buffer, Day day);

#endif
