/* Dates and times: the tools. */
#include "business.h"
#include "times.h"

static void put_date(Tool *tool, const char *name, Day day) {
    Buffer text = {0};
    write_date(&text, day);
    json_put_text(&tool->result, name, buffer_text(&text));
}

static bool date_argument(const Tool *tool, const char *name, Day *day) {
    Text text;
    return tool_text(tool, name, &text) && parse_date(text, name, day);
}

static void put_weekday(Tool *tool, Day day) {
    json_put_text(&tool->result, "weekday", text_of(WEEKDAYS[weekday_of(day) - 1]));
}

static bool out_of_range(void) { return fail("the result lies outside of the years 0001 to 9999"); }

static void describe(Tool *tool) {
    Buffer week = {0};
    Date date;
    IsoWeek iso;
    Day day;
    if (!date_argument(tool, "date", &day)) return;
    date = date_of(day);
    iso = iso_week_of(day);
    buffer_append_padded(&week, (uint64_t)iso.year, 4);
    buffer_append_string(&week, "-W");
    buffer_append_padded(&week, (uint64_t)iso.week, 2);
    buffer_append_byte(&week, '-');
    buffer_append_unsigned(&week, (uint64_t)weekday_of(day));
    put_weekday(tool, day);
    json_put_integer(&tool->result, "weekday_number", weekday_of(day));
    json_put_text(&tool->result, "iso_week_date", buffer_text(&week));
    json_put_integer(&tool->result, "iso_year", iso.year);
    json_put_integer(&tool->result, "iso_week", iso.week);
    json_put_integer(&tool->result, "day_of_year", day - day_of((Date){date.year, 1, 1}) + 1);
    json_put_integer(&tool->result, "quarter", (date.month + 2) / 3);
    json_put_integer(&tool->result, "days_in_month", days_in_month(date.year, date.month));
    json_put_integer(&tool->result, "days_in_year", is_leap_year(date.year) ? 366 : 365);
    json_put_boolean(&tool->result, "leap_year", is_leap_year(date.year));
    json_put_integer(&tool->result, "unix_day", day);
}

typedef struct {
    int64_t years;
    int64_t months;
    int64_t weeks;
    int64_t days;
    int64_t business_days;
} Shift;

static bool read_shift(const Tool *tool, Shift *shift) {
    return tool_integer_or(tool, "years", -9999, 9999, 0, &shift->years) &&
           tool_integer_or(tool, "months", -120000, 120000, 0, &shift->months) &&
           tool_integer_or(tool, "weeks", -530000, 530000, 0, &shift->weeks) &&
           tool_integer_or(tool, "days", -3700000, 3700000, 0, &shift->days) &&
           tool_integer_or(tool, "business_days", -2700000, 2700000, 0, &shift->business_days);
}

static void add(Tool *tool) {
    WorkCalendar calendar;
    Shift shift;
    Date date;
    Day day;
    int64_t moved;
    if (!date_argument(tool, "date", &day) || !read_shift(tool, &shift) || !read_work_calendar(tool, &calendar)) return;
    if (!add_months(date_of(day), shift.years * 12 + shift.months, &date)) {
        out_of_range();
        return;
    }
    moved = day_of(date) + shift.weeks * 7 + shift.days;
    if (!day_in_range(moved)) {
        out_of_range();
        return;
    }
    day = (Day)moved;
    if (!add_workdays(&calendar, day, (int32_t)shift.business_days, &day)) {
        out_of_range();
        return;
    }
    put_date(tool, "date", day);
    put_weekday(tool, day);
}

static void difference(Tool *tool) {
    WorkCalendar calendar;
    Day from;
    Day to;
    Day first;
    Day last;
    Date reached;
    int32_t sign;
    int32_t months;
    bool inclusive;
    if (!date_argument(tool, "from", &from) || !date_argument(tool, "to", &to) ||
        !tool_boolean_or(tool, "include_end", false, &inclusive) || !read_work_calendar(tool, &calendar)) {
        return;
    }
    sign = to < from ? -1 : 1;
    first = sign < 0 ? to : from;
    last = (sign < 0 ? from : to) + inclusive;
    if (!day_in_range(last)) {
        out_of_range();
        return;
    }
    months = months_between(date_of(first), date_of(last));
    add_months(date_of(first), months, &reached);
    json_put_integer(&tool->result, "days", sign * (last - first));
    json_put_integer(&tool->result, "weeks", sign * ((last - first) / 7));
    json_put_integer(&tool->result, "days_after_weeks", sign * ((last - first) % 7));
    json_put_integer(&tool->result, "years", sign * (months / 12));
    json_put_integer(&tool->result, "months_after_years", sign * (months % 12));
    json_put_integer(&tool->result, "days_after_months", sign * (last - day_of(reached)));
    json_put_integer(&tool->result, "total_months", sign * months);
    json_put_integer(&tool->result, "business_days", sign * workdays_between(&calendar, first, last));
}

static void nth_weekday(Tool *tool) {
    int64_t year;
    int64_t month;
    int64_t nth;
    size_t weekday;
    Day first;
    Day day;
    int32_t length;
    if (!tool_integer(tool, "year", 1, 9999, &year) || !tool_integer(tool, "month", 1, 12, &month) ||
        !tool_choice(tool, "weekday", WEEKDAYS, 7, -1, &weekday) || !tool_integer(tool, "n", -5, 5, &nth)) {
        return;
    }
    first = day_of((Date){(int32_t)year, (int32_t)month, 1});
    length = days_in_month((int32_t)year, (int32_t)month);
    day = first + ((int32_t)weekday + 8 - weekday_of(first)) % 7;
    if (nth < 0) day += (first + length - 1 - day) / 7 * 7;
    day += 7 * (int32_t)(nth > 0 ? nth - 1 : nth + 1);
    if (nth == 0 || day < first || day >= first + length) {
        fail("n is %l, and that month has no such %s: give 1 to 5, or -1 for the last one", nth, WEEKDAYS[weekday]);
        return;
    }
    put_date(tool, "date", day);
}

/* Meeus, Jones and Butcher's algorithm for the Gregorian date of Easter. */
static Day western_easter(int32_t year) {
    int32_t golden = year % 19;
    int32_t century = year / 100;
    int32_t skipped = (century - (century + 8) / 25 + 1) / 3;
    int32_t epact = (19 * golden + century - century / 4 - skipped + 15) % 30;
    int32_t weekday = (32 + 2 * (century % 4) + 2 * (year % 100 / 4) - epact - year % 100 % 4) % 7;
    int32_t correction = (golden + 11 * epact + 22 * weekday) / 451;
    int32_t sum = epact + weekday - 7 * correction + 114;
    return day_of((Date){year, sum / 31, sum % 31 + 1});
}

/* Meeus's Julian algorithm, carried over to the Gregorian calendar. */
static Day orthodox_easter(int32_t year) {
    int32_t epact = (19 * (year % 19) + 15) % 30;
    int32_t weekday = (2 * (year % 4) + 4 * (year % 7) - epact + 34) % 7;
    int32_t sum = epact + weekday + 114;
    int32_t shift = year / 100 - year / 400 - 2;
    return day_of((Date){year, sum / 31, sum % 31 + 1}) + shift;
}

static void easter(Tool *tool) {
    int64_t year;
    Day western;
    if (!tool_integer(tool, "year", 1583, 9999, &year)) return;
    western = western_easter((int32_t)year);
    put_date(tool, "western", western);
    put_date(tool, "orthodox", orthodox_easter((int32_t)year));
    put_date(tool, "good_friday", western - 2);
    put_date(tool, "ash_wednesday", western - 46);
    put_date(tool, "ascension", western + 39);
    put_date(tool, "pentecost", western + 49);
}

static void put_time(Tool *tool, const char *name, Instant instant, int32_t offset) {
    Buffer text = {0};
    write_time(&text, instant, offset);
    json_put_text(&tool->result, name, buffer_text(&text));
}

/* A time from `time`, or from `unix_seconds` or `unix_milliseconds`: exactly one of them. */
static bool read_instant(const Tool *tool, Instant *instant, int32_t *offset) {
    int64_t number;
    Text text;
    *offset = 0;
    *instant = (Instant){0};
    if (tool_has(tool, "time") + tool_has(tool, "unix_seconds") + tool_has(tool, "unix_milliseconds") != 1) {
        return fail("give exactly one of 'time', 'unix_seconds' and 'unix_milliseconds'");
    }
    if (tool_has(tool, "time")) return tool_text(tool, "time", &text) && parse_time(text, "time", instant, offset);
    if (tool_has(tool, "unix_seconds")) {
        return tool_integer(tool, "unix_seconds", -62135596800, 253402300799, &instant->seconds);
    }
    if (!tool_integer(tool, "unix_milliseconds", -62135596800000, 253402300799999, &number)) return false;
    instant->seconds = number / 1000 - (number % 1000 < 0);
    instant->nanoseconds = (int32_t)(number - instant->seconds * 1000) * 1000000;
    return true;
}

static void convert_time(Tool *tool) {
    Instant instant;
    int32_t offset;
    int64_t seconds = 0;
    int32_t nanoseconds = 0;
    Text wanted;
    Text duration;
    if (!read_instant(tool, &instant, &offset)) return;
    if (tool_has(tool, "add") &&
        (!tool_text(tool, "add", &duration) || !parse_duration(duration, "add", &seconds, &nanoseconds))) {
        return;
    }
    instant.nanoseconds += nanoseconds;
    instant.seconds += seconds + instant.nanoseconds / 1000000000;
    instant.nanoseconds %= 1000000000;
    if (tool_has(tool, "offset") && (!tool_text(tool, "offset", &wanted) || !parse_offset(wanted, "offset", &offset))) {
        return;
    }
    if (!time_in_range(instant, 0) || !time_in_range(instant, offset)) {
        out_of_range();
        return;
    }
    put_time(tool, "time", instant, offset);
    put_time(tool, "utc", instant, 0);
    put_weekday(tool, day_at(instant, offset));
    json_put_integer(&tool->result, "unix_seconds", instant.seconds);
    json_put_integer(&tool->result, "unix_milliseconds", instant.seconds * 1000 + instant.nanoseconds / 1000000);
}

static void elapsed(Tool *tool) {
    Instant from;
    Instant to;
    Buffer decimal = {0};
    Buffer duration = {0};
    int32_t offset;
    int64_t seconds;
    int32_t nanoseconds;
    bool negative;
    Text text;
    if (!tool_text(tool, "from", &text) || !parse_time(text, "from", &from, &offset) || !tool_text(tool, "to", &text) ||
        !parse_time(text, "to", &to, &offset)) {
        return;
    }
    negative = to.seconds < from.seconds || (to.seconds == from.seconds && to.nanoseconds < from.nanoseconds);
    seconds = negative ? from.seconds - to.seconds : to.seconds - from.seconds;
    nanoseconds = negative ? from.nanoseconds - to.nanoseconds : to.nanoseconds - from.nanoseconds;
    if (nanoseconds < 0) {
        seconds--;
        nanoseconds += 1000000000;
    }
    if (negative) buffer_append_byte(&decimal, '-');
    buffer_append_signed(&decimal, seconds);
    write_fraction(&decimal, nanoseconds);
    write_duration(&duration, seconds, nanoseconds, negative);
    json_put_text(&tool->result, "seconds", buffer_text(&decimal));
    json_put_text(&tool->result, "duration", buffer_text(&duration));
}

EXTISM_EXPORT("describe") int32_t tool_describe(void) { return tool_run(describe); }
EXTISM_EXPORT("add") int32_t tool_add(void) { return tool_run(add); }
EXTISM_EXPORT("difference") int32_t tool_difference(void) { return tool_run(difference); }
EXTISM_EXPORT("nth_weekday") int32_t tool_nth_weekday(void) { return tool_run(nth_weekday); }
EXTISM_EXPORT("easter") int32_t tool_easter(void) { return tool_run(easter); }
EXTISM_EXPORT("convert_time") int32_t tool_convert_time(void) { return tool_run(convert_time); }
EXTISM_EXPORT("elapsed") int32_t tool_elapsed(void) { return tool_run(elapsed); }
