"""`calendar` agrees with Python's datetime and calendar."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.running import BundledPlugins

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
EDGES = [date.min, date.max, date(1, 12, 31), date(4, 2, 29), date(1900, 2, 28), date(2000, 2, 29), date(9999, 1, 1)]


def check_description(plugins: BundledPlugins, day: date) -> None:
    iso = day.isocalendar()
    leap = calendar.isleap(day.year)
    assert plugins.call("calendar", "describe", date=day.isoformat()) == {
        "weekday": WEEKDAYS[day.weekday()],
        "weekday_number": day.isoweekday(),
        "iso_week_date": f"{iso.year:04}-W{iso.week:02}-{iso.weekday}",
        "iso_year": iso.year,
        "iso_week": iso.week,
        "day_of_year": day.timetuple().tm_yday,
        "quarter": (day.month + 2) // 3,
        "days_in_month": calendar.monthrange(day.year, day.month)[1],
        "days_in_year": 365 + leap,
        "leap_year": leap,
        "unix_day": (day - date(1970, 1, 1)).days,
    }


@settings(max_examples=100)
@given(day=st.dates())
def test_a_date_is_described_as_python_does(plugins: BundledPlugins, day: date) -> None:
    check_description(plugins, day)


def test_the_turns_of_years_are_described_as_python_does(plugins: BundledPlugins) -> None:
    for day in [*EDGES, *(date(year, month, of) for year in range(2015, 2028) for month, of in ((1, 1), (12, 31)))]:
        check_description(plugins, day)


@settings(max_examples=100)
@given(first=st.dates(), second=st.dates(), holidays=st.lists(st.dates(), max_size=5))
def test_differences_count_days_and_months_and_lead_back(
    plugins: BundledPlugins, first: date, second: date, holidays: list[date]
) -> None:
    result = plugins.call("calendar", "difference", **{"from": str(first), "to": str(second)})
    assert result["days"] == (second - first).days
    assert result["weeks"] * 7 + result["days_after_weeks"] == result["days"]
    assert result["total_months"] == result["years"] * 12 + result["months_after_years"]
    early, late = sorted((first, second))
    months, days = abs(result["total_months"]), abs(result["days_after_months"])
    assert plugins.call("calendar", "add", date=str(early), months=months, days=days)["date"] == str(late)
    assert days < 31


@settings(max_examples=60)
@given(
    start=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    length=st.integers(0, 400),
    holidays=st.lists(st.integers(0, 400), max_size=8),
    weekend=st.sets(st.integers(0, 6), max_size=6),
)
def test_business_days_are_those_that_counting_finds(
    plugins: BundledPlugins, start: date, length: int, holidays: list[int], weekend: set[int]
) -> None:
    free = {start + timedelta(offset) for offset in holidays}
    end = start + timedelta(length)
    days = [start + timedelta(offset) for offset in range(length)]
    worked = [day for day in days if day.weekday() not in weekend and day not in free]
    options = {"weekend": [WEEKDAYS[day] for day in weekend], "holidays": [str(day) for day in free]}
    result = plugins.call("calendar", "difference", **{"from": str(start), "to": str(end)}, **options)
    assert result["business_days"] == len(worked)
    if worked:
        before = start - timedelta(1)
        moved = plugins.call("calendar", "add", date=str(before), business_days=len(worked), **options)
        assert moved["date"] == str(worked[-1])
        back = plugins.call("calendar", "add", date=str(end), business_days=-len(worked), **options)
        assert back["date"] == str(worked[0])


@settings(max_examples=40)
@given(year=st.integers(1, 9999), month=st.integers(1, 12), weekday=st.integers(0, 6), n=st.integers(-5, 5))
def test_the_nth_weekday_is_that_of_the_months_calendar(
    plugins: BundledPlugins, year: int, month: int, weekday: int, n: int
) -> None:
    days = range(1, calendar.monthrange(year, month)[1] + 1)
    found = [date(year, month, day) for day in days if date(year, month, day).weekday() == weekday]
    arguments = {"year": year, "month": month, "weekday": WEEKDAYS[weekday], "n": n}
    if n != 0 and abs(n) <= len(found):
        expected = found[n - 1 if n > 0 else n]
        assert plugins.call("calendar", "nth_weekday", **arguments)["date"] == str(expected)
    else:
        assert f"n is {n}" in plugins.refusal("calendar", "nth_weekday", **arguments)


@settings(max_examples=80)
@given(
    moment=st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=OFFSETS),  # noqa: DTZ001
    offset=OFFSETS,
    added=st.timedeltas(timedelta(-300), timedelta(300)),
)
def test_times_convert_and_move_as_datetime_does(
    plugins: BundledPlugins, moment: datetime, offset: timezone, added: timedelta
) -> None:
    size = abs(added)
    duration = f"{'-' if added < timedelta(0) else ''}P{size.days}DT{size.seconds}.{size.microseconds:06}S"
    zone = moment.astimezone(offset).isoformat()[-6:]
    result = plugins.call("calendar", "convert_time", time=moment.isoformat(), offset=zone, add=duration)
    expected = moment.astimezone(UTC) + added
    assert datetime.fromisoformat(result["time"]) == datetime.fromisoformat(result["utc"]) == expected
    assert datetime.fromisoformat(result["time"]).utcoffset() == offset.utcoffset(None)
    assert result["unix_seconds"] == (expected - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)
    assert result["unix_milliseconds"] == (expected - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    assert result["weekday"] == WEEKDAYS[expected.astimezone(offset).weekday()]
    elapsed = plugins.call("calendar", "elapsed", **{"from": moment.isoformat(), "to": result["time"]})
    assert round(float(elapsed["seconds"]) * 1e6) == added // timedelta(microseconds=1)


def test_easter_falls_on_the_published_dates(plugins: BundledPlugins) -> None:
    published = {
        1583: "04-10",
        1818: "03-22",
        1943: "04-25",
        2000: "04-23",
        2008: "03-23",
        2024: "03-31",
        2038: "04-25",
    }
    for year, day in published.items():
        assert plugins.call("calendar", "easter", year=year)["western"] == f"{year}-{day}"
    orthodox = {2008: "04-27", 2016: "05-01", 2021: "05-02", 2024: "05-05", 2100: "05-02"}
    for year, day in orthodox.items():
        assert plugins.call("calendar", "easter", year=year)["orthodox"] == f"{year}-{day}"


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("describe", {"date": "2026-02-29"}, "does not exist"),
        ("describe", {"date": "0000-01-01"}, "does not exist"),
        ("describe", {"date": "2026-13-01"}, "does not exist"),
        ("describe", {"date": "2026-1-1"}, "write YYYY-MM-DD"),
        ("describe", {"date": "\uff12026-01-01"}, "write YYYY-MM-DD"),
        ("add", {"date": "9999-12-31", "days": 1}, "outside of the years"),
        ("add", {"date": "0001-01-01", "business_days": -1}, "outside of the years"),
        ("add", {"date": "0001-01-31", "months": -1}, "outside of the years"),
        ("add", {"date": "2026-01-01", "days": 1.5}, "whole number"),
        ("add", {"date": "2026-01-01", "weekend": WEEKDAYS}, "all seven days"),
        ("add", {"date": "2026-01-01", "weekend": ["sabbath"]}, "not a weekday"),
        ("add", {"date": "2026-01-01", "holidays": ["26-01-01"]}, "an item of 'holidays'"),
        ("difference", {"from": "2026-01-01", "to": "9999-12-31", "include_end": True}, "outside of the years"),
        ("easter", {"year": 1582}, "from 1583 to 9999"),
        ("convert_time", {}, "exactly one of"),
        ("convert_time", {"time": "2026-01-01T00:00:00Z", "unix_seconds": 0}, "exactly one of"),
        ("convert_time", {"time": "2026-01-01T00:00:00"}, "with an offset"),
        ("convert_time", {"time": "2026-01-01T24:00:00Z"}, "not a time"),
        ("convert_time", {"time": "2026-01-01T00:00:00+24:00"}, "not a time"),
        ("convert_time", {"time": "0001-01-01T00:00:00+01:00"}, "outside of the years"),
        ("convert_time", {"unix_seconds": 0, "offset": "CET"}, "not an offset"),
        ("convert_time", {"unix_seconds": 0, "add": "P1M"}, "not a duration"),
        ("convert_time", {"unix_seconds": 0, "add": "P"}, "not a duration"),
        ("convert_time", {"unix_seconds": 0, "add": "PT"}, "not a duration"),
        ("convert_time", {"unix_seconds": 0, "add": "PT1S1M"}, "not a duration"),
        ("convert_time", {"unix_seconds": 0, "add": "PT0.5M"}, "not a duration"),
        ("convert_time", {"unix_seconds": 0, "add": "PT99999999999999S"}, "not a duration"),
        ("elapsed", {"from": "2026-01-01", "to": "2026-01-01T00:00:00Z"}, "not a time"),
    ],
)
def test_impossible_dates_and_times_are_refused(
    plugins: BundledPlugins, tool: str, arguments: dict[str, object], expected: str
) -> None:
    assert expected in plugins.refusal("calendar", tool, **arguments)
