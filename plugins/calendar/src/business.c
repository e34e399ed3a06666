#include "business.h"

#define MOST_HOLIDAYS 2000

static bool read_weekend(const Tool *tool, WorkCalendar *calendar) {
    JsonValue *names;
    JsonValue *name;
    size_t index;
    if (!tool_text_array(tool, "weekend", 7, &names)) return false;
    calendar->weekend[6] = calendar->weekend[7] = names == NULL;
    for (name = names == NULL ? NULL : names->first; name != NULL; name = name->next) {
        for (index = 0; index < 7 && !text_is(name->text, WEEKDAYS[index]); index++) continue;
        if (index == 7) return fail("weekend holds %T, which is not a weekday such as 'saturday'", name->text);
        calendar->weekend[index + 1] = true;
    }
    for (index = 1; index <= 7; index++) calendar->workdays_in_week += !calendar->weekend[index];
    return calendar->workdays_in_week > 0 || fail("weekend names all seven days, so that no working day is left");
}

/* Insertion keeps the few holidays sorted and drops repetitions. */
static void insert_holiday(WorkCalendar *calendar, Day day) {
    size_t place = calendar->holiday_count;
    size_t index;
    while (place > 0 && calendar->holidays[place - 1] > day) place--;
    if (place > 0 && calendar->holidays[place - 1] == day) return;
    for (index = calendar->holiday_count++; index > place; index--) {
        calendar->holidays[index] = calendar->holidays[index - 1];
    }
    calendar->holidays[place] = day;
}

bool read_work_calendar(const Tool *tool, WorkCalendar *calendar) {
    JsonValue *dates;
    JsonValue *date;
    Day day;
    *calendar = (WorkCalendar){0};
    if (!read_weekend(tool, calendar) || !tool_text_array(tool, "holidays", MOST_HOLIDAYS, &dates)) return false;
    if (dates == NULL) return true;
    calendar->holidays = arena_allocate_zeroed(dates->count, sizeof(Day));
    if (calendar->holidays == NULL) return false;
    for (date = dates->first; date != NULL; date = date->next) {
        if (!parse_date(date->text, "an item of 'holidays'", &day)) return false;
        if (!calendar->weekend[weekday_of(day)]) insert_holiday(calendar, day);
    }
    return true;
}

static size_t holidays_before(const WorkCalendar *calendar, Day day) {
    size_t low = 0;
    size_t high = calendar->holiday_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (calendar->holidays[middle] < day) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool is_workday(const WorkCalendar *calendar, Day day) {
    size_t index = holidays_before(calendar, day);
    bool holiday = index < calendar->holiday_count && calendar->holidays[index] == day;
    return !holiday && !calendar->weekend[weekday_of(day)];
}

int32_t workdays_between(const WorkCalendar *calendar, Day from, Day to) {
    int32_t weeks = (to - from) / 7;
    int32_t count = weeks * calendar->workdays_in_week;
    Day day;
    for (day = from + weeks * 7; day < to; day++) count += !calendar->weekend[weekday_of(day)];
    return count - (int32_t)(holidays_before(calendar, to) - holidays_before(calendar, from));
}

/* At most ten thousand years of single steps: some millions of cheap ones. */
bool add_workdays(const WorkCalendar *calendar, Day day, int32_t count, Day *result) {
    Day step = count < 0 ? -1 : 1;
    int32_t left = count < 0 ? -count : count;
    while (left > 0) {
        day += step;
        if (!day_in_range(day)) return false;
        left -= is_workday(calendar, day);
    }
    *result = day;
    return true;
}
