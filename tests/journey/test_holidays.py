"""The Italian calendar: the days on which the country is closed, the movable ones among them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.holidays import easter, holidays, is_holiday


@pytest.mark.parametrize(
    ("year", "sunday"),
    [
        (2024, date(2024, 3, 31)),
        (2025, date(2025, 4, 20)),
        (2026, date(2026, 4, 5)),
        (2027, date(2027, 3, 28)),
        (2038, date(2038, 4, 25)),
    ],
)
def test_easter_falls_where_the_almanac_has_it(year: int, sunday: date) -> None:
    assert easter(year) == sunday


@given(st.integers(1900, 2400))
def test_easter_is_always_a_sunday_between_its_earliest_and_its_latest_day(year: int) -> None:
    sunday = easter(year)
    assert sunday.weekday() == 6
    assert date(year, 3, 22) <= sunday <= date(year, 4, 25)


def test_the_year_2026_has_the_days_that_close_the_country() -> None:
    assert sorted(holidays(2026)) == [
        date(2026, *day)
        for day in (
            *((1, 1), (1, 6), (4, 5), (4, 6), (4, 25), (5, 1), (6, 2), (8, 15), (10, 4), (11, 1), (12, 8)),
            *((12, 25), (12, 26)),
        )
    ]


def test_saint_francis_is_a_holiday_only_since_the_law_says_so() -> None:
    assert not is_holiday(date(2025, 10, 4))
    assert is_holiday(date(2027, 10, 4))


def test_a_country_whose_calendar_is_not_known_has_none() -> None:
    assert not is_holiday(date(2026, 12, 25), "FR")
