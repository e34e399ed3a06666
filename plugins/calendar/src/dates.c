#include "dates.h"

#include "failure.h"

const char *const WEEKDAYS[7] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

bool is_leap_year(int32_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int32_t days_in_month(int32_t year, int32_t month) {
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return lengths[month - 1] + (month == 2 && is_leap_year(year));
}

/* Both directions count in eras of 400 years that begin on 1 March (Howard Hinnant, "chrono-compatible low-level date
 * algorithms"). Years here are positive, so that plain division does. */
Day day_of(Date date) {
    int32_t year = date.year - (date.month <= 2);
    int32_t era = year / 400;
    int32_t year_of_era = year - era * 400;
    int32_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

Date date_of(Day day) {
    int32_t shifted = day + 719468;
    int32_t era = shifted / 146097;
    int32_t day_of_era = shifted - era * 146097;
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t shifted_month = (5 * day_of_year + 2) / 153;
    Date date;
    date.day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    date.month = shifted_month + (shifted_month < 10 ? 3 : -9);
    date.year = era * 400 + year_of_era + (date.month <= 2);
    return date;
}

/* FIRST_DAY is a Monday. */
int32_t weekday_of(Day day) { return (day - FIRST_DAY) % 7 + 1; }

static int32_t weeks_in_iso_year(int32_t year) {
    int32_t first = weekday_of(day_of((Date){year, 1, 1}));
    return first == 4 || (first == 3 && is_leap_year(year)) ? 53 : 52;
}

IsoWeek iso_week_of(Day day) {
    Date date = date_of(day);
    int32_t ordinal = day - day_of((Date){date.year, 1, 1}) + 1;
    int32_t week = (ordinal - weekday_of(day) + 10) / 7;
    if (week < 1) return (IsoWeek){date.year - 1, weeks_in_iso_year(date.year - 1)};
    if (week > weeks_in_iso_year(date.year)) return (IsoWeek){date.year + 1, 1};
    return (IsoWeek){date.year, week};
}

bool add_months(Date date, int64_t months, Date *result) {
    int64_t index = (int64_t)date.year * 12 + date.month - 1 + months;
    int32_t longest;
    if (index < 12 || index >= 12 * 10000) return false;
    result->year = (int32_t)(index / 12);
    result->month = (int32_t)(index % 12) + 1;
    longest = days_in_month(result->year, result->month);
    result->day = date.day < longest ? date.day : longest;
    return true;
}

int32_t months_between(Date from, Date to) {
    int32_t months = (to.year - from.year) * 12 + to.month - from.month;
    Date reached;
    return add_months(from, months, &reached) && day_of(reached) > day_of(to) ? months - 1 : months;
}

bool day_in_range(int64_t day) { return day >= FIRST_DAY && day <= LAST_DAY; }

static bool read_number(Text text, size_t start, size_t count, int32_t *value) {
    size_t index;
    *value = 0;
    for (index = start; index < start + count; index++) {
        if (text.bytes[index] < '0' || text.bytes[index] > '9') return false;
        *value = *value * 10 + (text.bytes[index] - '0');
    }
    return true;
}

bool parse_date(Text text, const char *what, Day *day) {
    Date date;
    if (text.length != 10 || text.bytes[4] != '-' || text.bytes[7] != '-' || !read_number(text, 0, 4, &date.year) ||
        !read_number(text, 5, 2, &date.month) || !read_number(text, 8, 2, &date.day)) {
        return fail("%s is %T, which is not a date: write YYYY-MM-DD, such as 2026-11-22", what, text);
    }
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month)) {
        return fail("%s is %T, a day that does not exist (years run from 0001 to 9999)", what, text);
    }
    *day = day_of(date);
    return true;
}

void write_date(Buffer *buffer, Day day) {
    Date date = date_of(day);
    buffer_append_padded(buffer, (uint64_t)date.year, 4);
    buffer_append_byte(buffer, '-');
    buffer_append_padded(buffer, (uint64_t)date.month, 2);
    buffer_append_byte(buffer, '-');
    buffer_append_padded(buffer, (uint64_t)date.day, 2);
}
