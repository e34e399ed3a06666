/* Working days: those that are neither on the weekend nor a holiday. */
#ifndef BUSINESS_H
#define BUSINESS_H

#include "dates.h"
#include "tool.h"

typedef struct {
    bool weekend[8]; /* by weekday, 1 to 7 */
    int32_t workdays_in_week;
    Day *holidays; /* sorted, without repetition and without days on the weekend */
    size_t holiday_count;
} WorkCalendar;

/* Reads the arguments `weekend` (default: saturday, sunday) and `holidays` (default: none). */
bool read_work_calendar(const Tool *tool, WorkCalendar *calendar);

bool is_workday(const WorkCalendar *calendar, Day day);
/* Working days d with from <= d < to. */
int32_t workdays_between(const WorkCalendar *calendar, Day from, Day to);
/* The day that many working days later, or earlier with a negative count. False where it is out of range. */
bool add_workdays(const WorkCalendar *calendar, Day day, int32_t count, Day *result);

#endif
